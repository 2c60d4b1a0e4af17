"""What machines do counts apart, and what nobody signed for does nothing."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.bootstrap import database as schemas
from shared.events import delivery, record, signal
from shared.runtime import keyring
from shared.runtime.tokens import Pointer, Tokens
from tests.controls import emails
from tests.controls.emails import a_request
from tests.controls.eventually import eventually
from tests.controls.tracking import was_sent
from tests.integration.tracker.hits import Desk, a_desk


async def verdicts(desk: Desk, item: record.Record, count: int) -> list[str | None]:
    found = await desk.said(item, count)
    assert all(isinstance(event, signal.Hit) and event.machine == bool(event.reason) for event in found)
    return [event.reason for event in found if isinstance(event, signal.Hit)]


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"agent": "Mozilla/5.0"}, "bare user agent"),
        ({"agent": "Mozilla/5.0 (via ggpht.com GoogleImageProxy)"}, "proxy"),
        ({"Sec_Purpose": "prefetch;prerender"}, "prefetch"),
        ({"Purpose": "prefetch"}, "prefetch"),
        ({"X_Moz": "prefetch"}, "prefetch"),
        ({"X_Purpose": "preview"}, "prefetch"),
    ],
)
async def test_a_machine_is_told_from_a_person(desk: Desk, headers: dict[str, str], reason: str) -> None:
    item = await desk.email()
    await desk.tracker.ask(desk.tracker.pixel(item), **headers)
    assert await verdicts(desk, item, 1) == [reason]


async def test_a_hit_before_it_was_sent_or_within_two_seconds_is_a_machines(desk: Desk) -> None:
    waiting, late, fresh = (
        await desk.email(sent=None),
        await desk.email(sent=None),
        await desk.email(sent=0.1),
    )
    old = await desk.email(sent=4)
    for item in (waiting, late, fresh, old):
        await desk.tracker.ask(desk.tracker.pixel(item))
    await desk.publisher.append(was_sent(late, datetime.now(UTC)))  # the word of it comes after the hit
    assert await verdicts(desk, waiting, 1) == ["before it was sent"]
    assert await verdicts(desk, late, 1) == ["within 2 s of sending"]
    assert await verdicts(desk, fresh, 1) == ["within 2 s of sending"]
    assert await verdicts(desk, old, 1) == [None]


async def test_an_email_whose_answer_was_lost_may_have_been_sent_and_is_opened_by_people(desk: Desk) -> None:
    lost = delivery.Reason(
        code="lost", message="no answer", category="ambiguous", retryable=True, suggested_action="wait"
    )
    claim: dict[str, Any] = {"occurred_at": datetime.now(UTC), "round": 1, "attempt": 1, "claim_id": "c"}
    waits = claim | {
        "next_attempt_at": datetime.now(UTC) + timedelta(hours=1),
        "expires_at": datetime.now(UTC),
    }
    after: list[list[delivery.Outcome]] = [
        [delivery.Unconfirmed(**claim, reason=lost)],
        [delivery.Deferred(**waits, reason=lost, ambiguous=True)],
        [delivery.Deferred(**waits, reason=lost, ambiguous=True), delivery.Deferred(**waits, reason=lost)],
    ]
    for events in after:
        item = await desk.email(sent=None)
        for event in events:
            await desk.publisher.append(emails.a_record(event, email_id=item.email_id))
        await desk.tracker.ask(desk.tracker.pixel(item))
        assert await verdicts(desk, item, 1) == [None]
    refused = await desk.email(sent=None)
    await desk.publisher.append(
        emails.a_record(delivery.Deferred(**waits, reason=lost), email_id=refused.email_id)
    )
    await desk.tracker.ask(desk.tracker.pixel(refused))
    assert await verdicts(desk, refused, 1) == ["before it was sent"]


async def test_three_links_at_once_are_a_scanners_the_first_of_them_too(desk: Desk) -> None:
    scanned, followed = await desk.email(), await desk.email()
    for name in ("a", "b", "c"):
        await desk.tracker.ask(desk.tracker.link(scanned, f"https://shop.test/{name}"))
        await desk.tracker.ask(desk.tracker.link(followed, "https://shop.test/same"))
    assert await verdicts(desk, scanned, 3) == ["several links at once"] * 3
    assert await verdicts(desk, followed, 3) == [None] * 3


async def test_head_has_no_effect_at_all(desk: Desk) -> None:
    item = await desk.email("ann@world.test")
    pixel = await desk.tracker.ask(desk.tracker.pixel(item), "HEAD")
    link = await desk.tracker.ask(desk.tracker.link(item), "HEAD")
    page = await desk.tracker.ask(desk.tracker.unsubscribe(item), "HEAD")
    assert [pixel.status, link.status, page.status] == [200, 302, 200]
    assert [pixel.body, link.body, page.body] == [b"", b"", b""]
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        await desk.tracker.ask(desk.tracker.pixel(item), method)
        assert (await desk.tracker.ask(desk.tracker.link(item), method)).status == 405
    assert await desk.silent(item)
    assert not await desk.suppressed("ann@world.test")


async def test_what_was_not_signed_here_for_this_does_nothing(
    desk: Desk, tmp_path_factory: pytest.TempPathFactory
) -> None:
    item = await desk.email("ann@world.test")
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "keyring"
    keyring.create(elsewhere)
    payload = Pointer(item.workspace, item.email_id, 0, b"https://evil.test/").encoded()
    good = desk.tracker.tokens.sign("click", payload)
    tokens = [
        Tokens(keyring.load(elsewhere)).sign("click", payload),
        *(desk.tracker.tokens.sign(other, payload) for other in ("return-path", "message-id")),
        good[:-1] + ("A" if good[-1] != "A" else "Q"),
        "B" + good[1:],
        good + "A",
        good + "==",
        good.replace("=", "") + "%00",
        "",
        "x" * 9000,
        "..%2f..%2f",
        "https://evil.test/",
        desk.tracker.tokens.sign("click", Pointer("", item.email_id, 0, b"https://evil.test/").encoded()),
    ]
    for token in tokens:
        pixel = await desk.tracker.ask(f"/t/o/{token}.gif")
        assert (pixel.status, pixel.body[:6]) == (200, b"GIF89a"), token
        click = await desk.tracker.ask(f"/t/c/{token}")
        assert (click.status, "Location" in click.headers) == (404, False), token
        assert (await desk.tracker.ask(f"/u/{token}", "POST", data=b"")).status == 404, token
    for purpose, path in (("click", "/t/o/{}.gif"), ("unsubscribe", "/t/o/{}.gif"), ("open", "/u/{}"), ("click", "/u/{}"), ("open", "/t/c/{}"), ("unsubscribe", "/t/c/{}")):  # fmt: skip
        await desk.tracker.ask(path.format(desk.tracker.tokens.sign(purpose, payload)), "GET")  # type: ignore[arg-type]
        if path.startswith("/u/"):
            await desk.tracker.ask(path.format(desk.tracker.tokens.sign(purpose, payload)), "POST", data=b"")  # type: ignore[arg-type]
    assert await desk.silent(item)
    assert not await desk.suppressed("ann@world.test")


@pytest.mark.parametrize("target", [b"javascript:alert(1)", b"//evil.test/", b"ftp://a.test/", b""])
async def test_a_signed_target_that_is_no_web_address_is_nowhere(desk: Desk, target: bytes) -> None:
    item = await desk.email()
    answered = await desk.tracker.ask(f"/t/c/{desk.tracker.token('click', item, target)}")
    assert answered.status == 404


async def test_no_header_can_be_smuggled_through_a_target(desk: Desk) -> None:
    item = await desk.email()
    answered = await desk.tracker.ask(desk.tracker.link(item, "https://a.test/\r\nSet-Cookie: x=1"))
    assert (answered.status, "Set-Cookie" in answered.headers) == (302, False)
    assert answered.headers["Location"] == "https://a.test/%0D%0ASet-Cookie:%20x=1"


async def test_a_token_of_an_email_nobody_has_is_forgotten(
    home: Path, clean_nats: str, database: str
) -> None:
    await schemas.migrate(database, None)
    async with a_desk(home, clean_nats, database) as desk:
        item = a_request()
        assert (await desk.tracker.ask(desk.tracker.link(item))).status == 302
        assert await desk.silent(item)


async def test_only_proxies_of_ours_say_who_asks_and_privacy_keeps_less(home: Path, clean_nats: str) -> None:
    settings = {"SENDLOG_TRUSTED_PROXIES": "127.0.0.0/8", "SENDLOG_PRIVACY": "anonymised"}
    async with a_desk(home, clean_nats, **settings) as desk:
        item = await desk.email()
        await desk.tracker.ask(desk.tracker.pixel(item), X_Forwarded_For="203.0.113.9, 198.51.100.77")
        (opened,) = await desk.said(item)
        assert isinstance(opened, signal.Opened)
        assert opened.ip_address == "198.51.100.0"


async def test_nothing_of_who_it_was_is_kept_where_nothing_may_be(home: Path, clean_nats: str) -> None:
    settings = {"SENDLOG_TRUSTED_PROXIES": "127.0.0.0/8", "SENDLOG_PRIVACY": "none"}
    async with a_desk(home, clean_nats, **settings) as desk:
        person, scanner = await desk.email(), await desk.email()
        await desk.tracker.ask(desk.tracker.pixel(person), X_Forwarded_For="198.51.100.77")
        await desk.tracker.ask(
            desk.tracker.pixel(scanner), agent="Barracuda/7", X_Forwarded_For="198.51.100.77"
        )
        written = b"".join(path.read_bytes() for path in desk.tracker.journal.glob("hits-*.log"))
        assert person.email_id.encode() in written
        assert not [word for word in (b"198.51.100", b"Firefox", b"Barracuda") if word in written]
        for item, reason in ((person, None), (scanner, "scanner")):
            (opened,) = await desk.said(item)
            assert isinstance(opened, signal.Opened)
            assert (opened.ip_address, opened.user_agent, opened.reason) == (None, None, reason)


async def test_ranges_that_change_are_known_without_a_restart(home: Path, clean_nats: str) -> None:
    ranges = home / "ranges.txt"
    ranges.write_text("192.0.2.0/24 nobody\n")
    async with a_desk(home, clean_nats, SENDLOG_MACHINE_NETWORKS=str(ranges)) as desk:
        item = await desk.email()
        await desk.tracker.ask(desk.tracker.pixel(item))
        assert await verdicts(desk, item, 1) == [None]
        ranges.write_text("127.0.0.0/8 ourselves\n")

        async def known() -> bool:
            other = await desk.email()
            await desk.tracker.ask(desk.tracker.pixel(other))
            return await verdicts(desk, other, 1) == ["network: ourselves"]

        await eventually(known, within=15)
        await asyncio.to_thread(ranges.write_text, "no network\n")
        other = await desk.email()
        await desk.tracker.ask(desk.tracker.pixel(other))
        assert await verdicts(desk, other, 1) == ["network: ourselves"]
