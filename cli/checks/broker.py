"""Looks at the broker: the log and its settings, whether each consumer is served and how far behind, the dead."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import msgspec
import nats

from cli import broker
from cli.checks.finding import Finding, bad, good, odd
from cli.environment import Environment
from cli.failure import Failure
from shared.runtime import topology
from shared.runtime.telemetry import without_credentials

if TYPE_CHECKING:
    from nats.aio.client import Client

BEHIND: Final = 10_000
FULL, NEARLY_FULL = 0.9, 0.7
_BOOTSTRAP: Final = "run python -m services.bootstrap"
_WANTED: Final = {
    "storage": "file",
    "retention": "limits",
    "discard": "new",
    "allow_direct": True,
    "allow_atomic": True,
}


async def look(environment: Environment) -> AsyncIterator[Finding]:
    """Look at everything the broker has."""
    url = environment.get("SENDLOG_NATS_URL")
    if url is None:
        yield bad("broker", "SENDLOG_NATS_URL is not set", "set it, or start a local world with make run")
        return
    try:
        client = await broker.connect(url)
    except Failure as failure:
        yield bad("broker", failure.message, "start it, and see its log for why it is not there")
        return
    try:
        yield good("broker", f"nats-server {_version(client)} at {without_credentials(url)}")
        yield await _sync(environment)
        async for finding in _inside(client):
            yield finding
    finally:
        await client.close()


def _version(client: "Client") -> str:
    version = client.connected_server_version
    return f"{version.major}.{version.minor}.{version.patch}"


async def _sync(environment: Environment) -> Finding:
    """Without sync always a power cut loses mail that a client was told is safe."""
    place = environment.health().get("nats")
    if place is None:
        return odd(
            "sync_interval",
            "not visible from here (SENDLOG_NATS_HEALTH is not set)",
            "make sure that the server's jetstream block has sync_interval: always",
        )
    try:
        timeout = aiohttp.ClientTimeout(total=3)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(f"{place}/varz") as answer:
            config = (await answer.json(content_type=None))["jetstream"]["config"]
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
        return odd("sync_interval", f"{place} did not say: {error!r}", "check SENDLOG_NATS_HEALTH")
    if config.get("sync_always"):
        return good("sync_interval", "always: what was accepted survives a power cut")
    return bad(
        "sync_interval",
        "not always: a power cut loses emails whose 202 was sent",
        "set sync_interval: always in the server's jetstream block and restart it",
    )


async def _inside(client: "Client") -> AsyncIterator[Finding]:
    log = await _ask(client, f"STREAM.INFO.{topology.LOG}")
    if log is None:
        yield bad("log", f"there is no stream {topology.LOG}", _BOOTSTRAP)
        return
    yield _settings(log["config"])
    yield room(log["state"]["bytes"], log["config"]["max_bytes"])
    for durable in (*topology.CONSUMERS, *topology.BESIDES):
        yield consumer(durable.name, await _ask(client, f"CONSUMER.INFO.{durable.stream}.{durable.name}"))
    yield await _dead_letters(client)
    missing = [name for name in topology.BUCKETS if await _ask(client, f"STREAM.INFO.KV_{name}") is None]
    if missing:
        yield bad("buckets", f"missing: {', '.join(missing)}", _BOOTSTRAP)
    else:
        yield good("buckets", ", ".join(topology.BUCKETS))


def _settings(config: dict[str, Any]) -> Finding:
    wrong = [f"{name} is {config.get(name)}" for name, value in _WANTED.items() if config.get(name) != value]
    if wrong:
        return bad("log", "; ".join(wrong), _BOOTSTRAP)
    return good("log", f"{topology.LOG}, {config.get('num_replicas', 1)} replica(s)")


def room(used: int, limit: int) -> Finding:
    """Judge how full the log is."""
    share = used / limit if limit > 0 else 0.0
    told = f"{used / 1e6:.0f} MB of {limit / 1e6:.0f} MB ({share:.0%})"
    if share >= FULL:
        action = "new mail is answered 503 until it is trimmed: see the projector, or raise SENDLOG_LOG_BYTES"
        return bad("log room", told, action)
    if share >= NEARLY_FULL:
        return odd(
            "log room", told, "it is trimmed as far as everything is archived: see the projector's lag"
        )
    return good("log room", told)


def consumer(name: str, info: dict[str, Any] | None) -> Finding:
    """Judge a durable consumer: somebody must serve it, and it must not be far behind."""
    title = f"consumer {name}"
    if info is None:
        return bad(title, "is missing", _BOOTSTRAP)
    behind, in_hand = info["num_pending"], info["num_ack_pending"]
    told = f"{behind} records to go, {in_hand} in hand"
    if not info.get("push_bound"):
        return bad(title, f"nobody serves it; {told}", f"start services.{name}, or see its log")
    if behind > BEHIND:
        return odd(title, told, f"wait, or run more replicas of services.{name}")
    return good(title, told)


async def _dead_letters(client: "Client") -> Finding:
    info = await _ask(client, f"STREAM.INFO.{topology.DEAD_LETTERS}")
    if info is None:
        return bad("dead letters", f"there is no stream {topology.DEAD_LETTERS}", _BOOTSTRAP)
    count = info["state"]["messages"]
    if count:
        action = (
            "see docs/operations.md, Dead letters: read the reason, mend the cause, then re-publish or purge"
        )
        return odd("dead letters", f"{count} record(s) could not be handled", action)
    return good("dead letters", "none")


async def _ask(client: "Client", what: str) -> dict[str, Any] | None:
    """Return the broker's answer, None when there is no such thing. Raises: Failure via the caller."""
    try:
        async with asyncio.timeout(broker.WITHIN):
            answer = await client.request(f"$JS.API.{what}", b"", timeout=broker.WITHIN)
    except (nats.errors.Error, TimeoutError, OSError) as error:
        raise Failure(f"the broker does not answer: {error!r}") from error
    decoded: dict[str, Any] = msgspec.json.decode(answer.data)
    return None if "error" in decoded else decoded
