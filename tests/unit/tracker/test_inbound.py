"""Inbound mail from bytes to the log: what a signed handle proves is said once, and nothing else is said at all."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.tracker import ingress
from services.tracker.addressing import Finder
from services.tracker.inbound import MAX_HOPS
from shared.events import delivery
from shared.events.base import EmailId
from shared.runtime import handles
from tests.controls.emails import TOKENS, WORKSPACE, a_record, a_request
from tests.controls.inbound import DSN, SIGNALS, STRANGER, Door, a_door, counted, fields


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return a_door(tmp_path)


@pytest.mark.parametrize(("letter", "name"), SIGNALS, ids=[name for _, name in SIGNALS])
async def test_what_our_handles_prove_is_said_once_however_often_it_comes(
    door: Door, letter: str, name: str
) -> None:
    item = await door.sent("ann@world.test")
    for _ in range(2):
        result = await door.takes(letter.format(**fields(item)))
        assert ingress.told(result) == f"250 2.0.0 taken as {result.kind}; said {name}; email {item.email_id}"
    assert len({one.event_id for one in await door.log.history(item.workspace, item.email_id)}) == 2
    assert bool(await door.suppressions.find(item.workspace, ["ann@world.test"])) == (
        name in ("bounced", "complained")
    )


async def test_what_a_server_or_a_file_kept_back_is_told_of_when_it_came(door: Door) -> None:
    item = await door.sent("ann@world.test")
    trace = "Received: by mx.test; Wed, 25 Nov 2026 10:00:01 +0100\n"
    result = await door.takes(trace + DSN.format(**fields(item)))
    assert [one.event.occurred_at for one in result.said] == [
        datetime(2026, 11, 25, 9, 0, 1, 999_000, tzinfo=UTC)
    ]


async def test_nothing_is_told_of_before_the_email_left_whatever_clock_says_so(door: Door) -> None:
    item = await door.sent("ann@world.test")
    left = datetime(2026, 11, 25, 9, 0, 5, tzinfo=UTC)
    sent = delivery.Sent(occurred_at=left, round=1, attempt=1, claim_id="c")
    await door.log.append(a_record(sent, email_id=item.email_id))
    for second in (3, 5):
        trace = f"Received: by mx.test; Wed, 25 Nov 2026 09:00:0{second} +0000\n"
        (said,) = (
            await door.takes(f"{trace}Message-ID: <{second}@mx.test>\n" + DSN.format(**fields(item)))
        ).said
        at = said.event.occurred_at
        assert (at == left + timedelta(milliseconds=999)) == (second == 5)
        assert at > left


@pytest.mark.parametrize("named", ["Message-ID: <r1@mx.test>\nDate: Mon, 30 Nov 2026 10:00:00 +0000\n", ""])
async def test_a_report_that_comes_by_two_ways_is_said_once_and_another_one_again(
    door: Door, named: str
) -> None:
    item = await door.sent("ann@world.test")
    letter = named + DSN.format(**fields(item))
    trace = "Return-Path: <>\nReceived: by mx.test; Mon, 30 Nov 2026 10:00:01 +0000\nX-Spam-Score: 0\n"
    other = letter.replace("<r1@", "<r2@").replace("I could not", "We could not")
    for raw, bounces in ((letter, 1), (trace + letter, 1), (f"{letter}\n", 1), (trace + other, 2)):
        await door.takes(raw)
        history = await door.log.history(item.workspace, item.email_id)
        assert len({one.event_id for one in history}) == 1 + bounces


@pytest.mark.parametrize(("letter", "name"), SIGNALS, ids=[name for _, name in SIGNALS])
async def test_what_a_stranger_signed_says_nothing_and_is_kept_and_counted(
    door: Door, letter: str, name: str
) -> None:
    item = await door.sent("ann@world.test")
    before = {kind: counted(kind, "names no email of ours") for kind in ("dsn", "mdn", "complaint", "reply")}
    result = await door.takes(letter.format(**fields(item, STRANGER)))
    assert counted(result.kind, "names no email of ours") == before[result.kind] + 1
    assert ingress.told(result) == f"250 2.0.0 taken as {result.kind}; said nothing"
    assert (await door.told(item), await door.suppressed()) == ([], {})
    assert await door.kept() == [result.raw_key]
    assert result.raw_key.startswith("_unmatched/"), "the sweep of what nobody refers to takes it from there"


@pytest.mark.parametrize(("letter", "name"), SIGNALS[:3], ids=[name for _, name in SIGNALS[:3]])
async def test_a_recipient_the_email_never_had_changes_nothing(door: Door, letter: str, name: str) -> None:
    item = await door.sent("ann@world.test", "bob@world.test")
    before = counted("dsn", "fits no recipient")
    result = await door.takes(letter.format(**fields(item, recipient="victim@world.test")))
    assert (await door.told(item), await door.suppressed(), result.said) == ([], {}, ())
    assert counted("dsn", "fits no recipient") == before + (letter is DSN)


async def test_a_signed_address_of_no_email_there_is_leads_nowhere(door: Door) -> None:
    item = a_request("ann@world.test")  # never appended: erased, or another installation's
    result = await door.takes(DSN.format(**fields(item)))
    assert (result.said, door.log.records, await door.suppressed()) == ((), [], {})


async def test_a_message_that_goes_round_in_a_loop_ends_here(door: Door) -> None:
    item = await door.sent("ann@world.test")
    letter = DSN.format(**fields(item))
    before = counted("loop", "ignored")
    result = await door.takes("Received: from a by b; today\n" * (MAX_HOPS + 1) + letter)
    assert ingress.told(result).startswith("554 5.4.6 ")
    assert (await door.told(item), await door.kept()) == ([], [])
    assert counted("loop", "ignored") == before + 1
    await door.takes("Received: from a by b; today\n" * MAX_HOPS + letter)
    assert await door.told(item) == ["bounced"]


async def test_a_report_on_a_report_is_nothing(door: Door) -> None:
    """What bounced was no email of ours, though one of ours is inside."""
    item = await door.sent("ann@world.test")
    values = fields(item) | {"envid": ""}
    inner = DSN.format(**(values | {"to": "hello@sendlog.test"})).replace("=b", "=i").replace("--b", "--i")
    outer = DSN.format(**(values | {"to": "hello@sendlog.test", "recipient": "hello@sendlog.test"}))
    await door.takes(outer.replace("--b--", f"--b\nContent-Type: message/rfc822\n\n{inner}\n--b--"))
    assert (await door.told(item), await door.suppressed()) == ([], {})


def test_an_address_made_here_is_taken_whoever_has_its_domain_now() -> None:
    item = a_request("ann@world.test")
    values, finder = fields(item), Finder(TOKENS, lambda: [WORKSPACE])
    assert finder.is_signed(values["to"])
    assert finder.is_signed(values["leaving"])
    assert not any(
        map(finder.is_signed, (fields(item, STRANGER)["to"], "bounce+1@platform.test", "hello@sendlog.test"))
    )


def test_every_handle_fits_into_a_local_part() -> None:
    item = a_request("ann@world.test")
    values = fields(item)
    assert len(values["leaving"].partition("@")[0]) <= handles.MAX_LOCAL_PART
    assert handles.of_unsubscribe_address(TOKENS, values["leaving"]) == handles.of_address(
        TOKENS, values["to"]
    )
    assert EmailId(handles.of_unsubscribe_address(TOKENS, values["leaving"])[1]) == item.email_id  # type: ignore[index]
