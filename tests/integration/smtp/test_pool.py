"""The pool against a server that counts: how many sessions, which ones again, and when they end."""

import asyncio

import pytest

from services.dispatcher.outcome import SmtpError
from services.dispatcher.pool import Pool
from tests.controls.eventually import eventually
from tests.integration.smtp.asking import LOOPBACK, PATIENT, a_server, an_envelope
from tests.integration.smtp.scripted import Client, mta, serving


def a_pool(port: int, limit: int = 2, **options: float) -> Pool:
    return Pool(a_server(port), limit, allowed=LOOPBACK, timeouts=PATIENT, **options)  # type: ignore[arg-type]


async def send(pool: Pool) -> None:
    # Bounded here: under uvloop a test that waits for ever is not interrupted by the runner's own timeout.
    async with asyncio.timeout(15), pool.session() as session:
        outcome = await session.transact(an_envelope(), lambda: True)
    assert outcome.phase == "done"


async def test_no_more_sessions_are_open_than_the_limit_and_all_are_reused() -> None:
    async with serving(mta()) as server:
        pool = a_pool(server.port, 3)
        await asyncio.gather(*(send(pool) for _ in range(60)))
        assert server.connections == 3
        assert len(server.messages) == 60
        await pool.close()
        assert server.lines.count("QUIT") == 3


async def test_whoever_waits_longest_is_served_next() -> None:
    served: list[int] = []

    async def one(number: int) -> None:
        async with pool.session():
            served.append(number)
            await asyncio.sleep(0)

    async with serving(mta()) as server:
        pool = a_pool(server.port, 1)
        await asyncio.gather(*(one(number) for number in range(20)))
        await pool.close()
    assert served == list(range(20))


async def test_the_session_used_last_is_used_again_first() -> None:
    async with serving(mta()) as server:
        pool = a_pool(server.port, 2)
        async with pool.session() as first, pool.session() as second:
            pass
        async with pool.session() as again:
            assert again is first
        assert second is not first
        await pool.close()


async def test_a_fresh_session_is_none_that_was_kept_and_none_above_the_limit() -> None:
    async with serving(mta()) as server:
        pool = a_pool(server.port, 2)
        async with pool.session() as first, pool.session() as second:
            pass
        async with pool.session(fresh=True) as fresh:
            assert fresh not in (first, second)
            assert pool.open == 2
        await pool.close()


async def test_a_raised_limit_serves_who_waits_at_once_and_a_lowered_one_closes_the_surplus() -> None:
    async with serving(mta()) as server:
        pool = a_pool(server.port, 0)
        waiting = [asyncio.create_task(send(pool)) for _ in range(3)]
        await asyncio.sleep(0)
        assert server.connections == 0
        pool.set_limit(3)
        await asyncio.gather(*waiting)
        assert pool.open == server.connections == 3
        pool.set_limit(1)
        await eventually(lambda: server.closed == 2)
        assert pool.open == 1
        await pool.close()


async def test_a_leased_session_above_a_lowered_limit_is_closed_when_it_comes_back() -> None:
    async with serving(mta()) as server:
        pool = a_pool(server.port, 1)
        async with pool.session():
            pool.set_limit(0)
        await eventually(lambda: server.closed == 1)
        assert pool.open == 0
        await pool.close()


async def test_an_idle_session_is_closed_after_its_time() -> None:
    async with serving(mta()) as server:
        pool = a_pool(server.port, 2, idle_for=0.2)
        await asyncio.gather(send(pool), send(pool))
        assert server.closed == 0
        await eventually(lambda: server.closed == server.connections)
        assert pool.open == 0
        await send(pool)
        await pool.close()


async def test_a_session_that_was_idle_is_asked_first_and_a_dead_one_replaced() -> None:
    hang_up = asyncio.Event()

    async def then_leave(client: Client) -> None:
        await client.say("250 queued")
        if client.server.connections == 1:
            assert await client.hear() == "RSET"
            hang_up.set()
            client.close()

    async with serving(mta(dot=then_leave)) as server:
        pool = a_pool(server.port, 1, check_after=0)
        await send(pool)
        await send(pool)
        assert hang_up.is_set()
        assert server.connections == 2
        await pool.close()


async def test_a_session_is_replaced_after_its_share_of_transactions() -> None:
    async with serving(mta()) as server:
        pool = a_pool(server.port, 1, transactions=5)
        for _ in range(11):
            await send(pool)
        assert server.connections == 3
        await pool.close()


async def test_changed_settings_replace_idle_and_leased_sessions() -> None:
    async with serving(mta()) as old, serving(mta()) as new:
        pool = a_pool(old.port, 2)
        async with pool.session():
            await send(pool)
            pool.reconfigure(a_server(old.port))  # nothing changed: nothing is closed
            assert pool.open == 2
            pool.reconfigure(a_server(new.port))
            await eventually(lambda: old.closed == 1)
        await eventually(lambda: old.closed == 2)
        await send(pool)
        assert (old.connections, new.connections) == (2, 1)
        await pool.close()


async def test_a_session_that_broke_is_not_used_again() -> None:
    async with serving(mta(dot=["421 4.3.2 bye", "250 ok"])) as server:
        pool = a_pool(server.port, 1)
        async with pool.session() as session:
            assert (await session.transact(an_envelope(), lambda: True)).phase == "final"
        await send(pool)
        assert server.connections == 2
        await pool.close()


async def test_a_server_that_cannot_be_reached_costs_no_place(free_port: int) -> None:
    pool = a_pool(free_port, 1)
    for _ in range(3):
        with pytest.raises(SmtpError, match="connect"):
            await send(pool)
    assert pool.open == 0
    await pool.close()


async def test_who_gives_up_waiting_leaves_no_place_taken() -> None:
    async with serving(mta()) as server:
        pool = a_pool(server.port, 1)
        async with pool.session():
            waiting = [asyncio.create_task(send(pool)) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
        waiting[1].cancel()  # in the very moment it was given the place
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(result) for result in results[:2]] == [asyncio.CancelledError] * 2
        assert results[2] is None
        await send(pool)
        await pool.close()
        assert pool.open == 0


async def test_closing_turns_away_who_waits_and_who_comes_later() -> None:
    async with serving(mta()) as server:
        pool = a_pool(server.port, 1)
        async with pool.session():
            waiting = asyncio.create_task(send(pool))
            await asyncio.sleep(0)
            await pool.close()
            with pytest.raises(SmtpError) as caught:
                await waiting
            assert caught.value.kind == "no_session"
        with pytest.raises(SmtpError):
            await send(pool)
        await eventually(lambda: server.closed == server.connections == 1)
        assert pool.open == 0


async def test_nobody_waits_for_ever_for_a_place_that_is_gone_and_the_next_one_gets_what_comes_back() -> None:
    async with serving(mta()) as server:
        pool = a_pool(server.port, 0, place_within=0.1)
        with pytest.raises(SmtpError) as caught:
            await send(pool)
        assert caught.value.kind == "no_session"
        pool.set_limit(1)
        await send(pool)
        async with pool.session():
            with pytest.raises(SmtpError):
                await send(pool)
        await send(pool)
        await pool.close()
        assert pool.open == 0


async def test_a_cancelled_opening_leaves_no_place_taken_and_no_connection() -> None:
    async def silent(client: Client) -> None:
        await client.hear()

    async with serving(silent) as server:
        pool = a_pool(server.port, 1)
        task = asyncio.create_task(send(pool))
        await eventually(lambda: server.connections == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert pool.open == 0
        await eventually(lambda: server.closed == 1)
        await pool.close()


async def test_a_single_send_gets_the_next_session_before_all_bulk_that_waits() -> None:
    served: list[str] = []

    async def one(name: str) -> None:
        async with pool.session(bulk=name != "single"):
            served.append(name)
            await asyncio.sleep(0)

    async with serving(mta()) as server:
        pool = a_pool(server.port, 1)
        await asyncio.gather(*(one(name) for name in ("bulk 0", "bulk 1", "bulk 2", "single")))
        await pool.close()
    assert served == ["bulk 0", "single", "bulk 1", "bulk 2"]
