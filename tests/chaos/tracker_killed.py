"""Hits: the tracker is killed under load, and the broker with it; what was answered is in the log, once."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterator
from functools import partial

import aiohttp
import yarl

from shared.events import signal
from shared.runtime import keyring
from shared.runtime.tokens import Pointer, Tokens
from tests.chaos.ledger import Ledger, Verdict
from tests.chaos.scenario import Size, kill
from tests.controls import runtime
from tests.controls.eventually import eventually
from tests.controls.tracking import PERSON
from tests.controls.world import World

EMAILS = 20
CLIENTS = 16
SETTLED_WITHIN = 60.0
TRIES = 1000
FAULTS = 16  # a pause of up to 5 s follows each


async def run(size: Size, world: World) -> list[Verdict]:
    """Follow links while processes die; every redirect that was answered is a click in the log, once."""
    ledger = Ledger(world)
    await ledger.many(EMAILS, 4, to="clicked{}@example.com")
    links = _links(world, list(ledger.accepted), size.emails)
    answered: dict[str, int] = {}
    clients = asyncio.gather(*(_follow(world, links, answered, size) for _ in range(CLIENTS)))
    killed = []
    faults = min(size.faults, FAULTS)
    for number in range(faults):
        await asyncio.sleep(size.seconds / (faults + 1))
        if clients.done():
            break
        killed.append(await kill(world, "nats-server" if number % 4 == 3 else "tracker"))
        # Who is killed again before it has answered dies of nothing new.
        await eventually(partial(_answers_again, answered, len(answered), clients), within=60)
    await clients

    async def all_there() -> dict[str, list[str]]:
        found = await _clicks(world, list(ledger.accepted))
        missing = set(answered) - set(found)
        assert not missing, f"{len(missing)} of {len(answered)} are not in the log"
        return found

    found = await eventually(all_there, within=SETTLED_WITHIN, every=1)
    # A request that broke off may have been written down, too: it was one, and counts as one.
    twice = [url for url, ids in found.items() if len(set(ids)) > answered.get(url, TRIES)]
    again = sum(len(ids) - len(set(ids)) for ids in found.values())
    return [
        Verdict(
            "each answered hit is in the log",
            len(answered) == size.emails,
            f"{len(answered)} answered, {len(found)} in the log; killed: {', '.join(killed)}",
        ),
        Verdict(
            "each counts once",
            not twice,
            f"{len(twice)} more often than asked for, {again} repeated under one id; "
            f"{sum(tries > 1 for tries in answered.values())} were asked for again",
        ),
    ]


def _answers_again(answered: dict[str, int], before: int, clients: "asyncio.Future[list[None]]") -> bool:
    return len(answered) > before or clients.done()


def _links(world: World, email_ids: list[str], count: int) -> Iterator[tuple[str, str]]:
    """Yield that many paths, each with the target that nothing else has."""
    tokens = Tokens(keyring.load(world.home / "keyring"))
    for number in range(count):
        target = f"https://shop.test/{number}"
        where = Pointer("default", email_ids[number % len(email_ids)], 0, target.encode())
        yield f"/t/c/{tokens.sign('click', where.encoded())}", target


async def _follow(
    world: World, links: Iterator[tuple[str, str]], answered: dict[str, int], size: Size
) -> None:
    """Follow one link after the other, each until it leads somewhere; note how often it was asked for."""
    pause = size.seconds * CLIENTS / size.emails
    address = f"http://127.0.0.1:{world.ports['TRACKER']}"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        for path, target in links:
            url = yarl.URL(address + path, encoded=True)
            for tries in range(1, TRIES):
                try:
                    async with session.get(
                        url, allow_redirects=False, headers={"User-Agent": PERSON}
                    ) as answer:
                        assert answer.status == 302, answer.status
                        answered[target] = tries
                        break
                except (aiohttp.ClientError, TimeoutError):
                    await asyncio.sleep(0.1)
            await asyncio.sleep(pause * random.random() * 2)


async def _clicks(world: World, email_ids: list[str]) -> dict[str, list[str]]:
    """Return the event ids of the clicks in the log by target."""
    found: dict[str, list[str]] = defaultdict(list)
    async with runtime.open_log(world.variables["SENDLOG_NATS_URL"]) as (log, _):
        for email_id in email_ids:
            for item in await log.history("default", email_id):
                if isinstance(item.event, signal.Clicked):
                    found[item.event.url].append(item.event_id)
    return found
