"""The memory of all transmissions: bounded, first come first served, small beside large."""

import asyncio
import contextlib

import pytest

from services.dispatcher import budget
from services.dispatcher.budget import Budget, Part, Share
from shared.events import email
from tests.controls.emails import an_email


async def test_what_does_not_fit_waits_until_something_is_given_back() -> None:
    share = Share(10)
    await share.take(6)
    second = asyncio.create_task(share.take(6))
    await asyncio.sleep(0)
    assert not second.done()
    share.give_back(6)
    await second
    assert share.used == 6


async def test_whoever_waits_longest_is_next_also_when_a_smaller_one_would_fit() -> None:
    share, order = Share(10), []

    async def take(size: int) -> None:
        await share.take(size)
        order.append(size)

    await share.take(6)
    tasks = []
    for size in (9, 1, 2):
        tasks.append(asyncio.create_task(take(size)))
        await asyncio.sleep(0)
    assert order == []
    share.give_back(6)
    await asyncio.gather(*tasks[:2])
    assert order == [9, 1]
    share.give_back(9)
    await tasks[2]


async def test_what_is_larger_than_all_gets_in_alone() -> None:
    share = Share(10)
    await share.take(1)
    huge = asyncio.create_task(share.take(50))
    await asyncio.sleep(0)
    assert not huge.done()
    share.give_back(1)
    await huge
    small = asyncio.create_task(share.take(1))
    await asyncio.sleep(0)
    assert not small.done()
    share.give_back(50)
    await small


async def test_one_that_gives_up_keeps_nothing_and_lets_the_next_one_in() -> None:
    share = Share(10)
    await share.take(6)
    large = asyncio.create_task(share.take(10))
    small = asyncio.create_task(share.take(4))
    await asyncio.sleep(0)
    large.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await large
    await small
    share.give_back(6)
    share.give_back(4)
    assert share.used == 0


async def test_one_that_gives_up_in_the_moment_it_gets_in_keeps_nothing() -> None:
    share = Share(10)
    await share.take(10)
    waiting = asyncio.create_task(share.take(10))
    await asyncio.sleep(0)
    share.give_back(10)
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    assert share.used == 0


def with_files(*sizes: int) -> email.Email:
    return an_email(
        attachments=tuple(
            email.Attachment(id="1", filename="a", content_type="a/b", size=size, sha256="", key="k")
            for size in sizes
        )
    )


LARGE = with_files(50 << 20)
SMALL = an_email(text="x" * 80_000)
LEAST = an_email()


async def entered(whole: Budget, of: email.Email, part: Part | None = None) -> None:
    async with whole.room(of, part or Part(budget.SHARE)):
        return


async def test_no_small_message_waits_for_what_large_ones_hold() -> None:
    whole = Budget(share=budget.cost(LARGE))
    async with whole.room(LARGE, Part()):
        waiting = asyncio.create_task(entered(whole, LARGE))
        async with asyncio.timeout(1):
            await entered(whole, SMALL)
        assert not waiting.done()
    await waiting


@pytest.mark.parametrize("held", [LARGE, SMALL])
async def test_an_account_that_holds_its_part_does_not_hold_up_another_one(held: email.Email) -> None:
    whole, part = Budget(share=3 * budget.cost(held)), Part(budget.cost(held))
    async with whole.room(held, part):
        again = asyncio.create_task(entered(whole, held, part))
        async with asyncio.timeout(1):
            await entered(whole, held)
        assert not again.done()
    await again


async def test_the_least_of_all_never_wait() -> None:
    whole, part = Budget(share=1), Part(1)
    async with whole.room(SMALL, part), whole.room(LARGE, part):
        async with asyncio.timeout(1):
            await entered(whole, LEAST, part)
            await entered(whole, with_files(1), part)


async def test_files_that_have_been_read_keep_nobody_waiting() -> None:
    whole, part = Budget(share=budget.cost(LARGE)), Part()
    async with whole.room(LARGE, part) as have_been_read:
        waiting = asyncio.create_task(entered(whole, with_files(300_000), part))
        await asyncio.sleep(0)
        assert not waiting.done()
        have_been_read()
        have_been_read()  # once more changes nothing
        async with asyncio.timeout(1):
            await waiting
        assert part.large.used == budget.cost(LARGE) - budget.streaming(LARGE)
    assert part.large.used == 0


async def test_one_that_gives_up_between_its_accounts_part_and_the_whole_keeps_nothing() -> None:
    whole, part = Budget(share=budget.cost(LARGE)), Part()
    async with whole.room(LARGE, Part()):
        waiting = asyncio.create_task(entered(whole, LARGE, part))
        await asyncio.sleep(0)
        assert part.large.used
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
    assert part.large.used == 0
    await entered(whole, LARGE)


async def test_a_message_with_files_costs_no_more_than_a_stream_and_no_more_than_their_size_asks_for() -> (
    None
):
    assert budget.cost(LEAST) < 8 * 1024
    assert budget.SMALL < budget.cost(with_files(50 << 20, 50 << 20)) < 1024 * 1024
    assert budget.cost(with_files(1000)) < budget.cost(LEAST) + 2000


def test_ten_connections_the_default_may_all_stream_at_once_and_five_accounts_do_not_fill_a_share() -> None:
    assert 10 * budget.cost(LARGE) <= budget.OF_AN_ACCOUNT
    assert 5 * budget.OF_AN_ACCOUNT + budget.cost(LARGE) <= budget.SHARE
