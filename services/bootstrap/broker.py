"""The broker's objects: created when missing, updated when they differ, never recreated.

An existing durable is not changed by subscribing with another configuration, so this is the only
place where one is.
"""

from typing import Any

import msgspec
import nats
import structlog
from nats.aio.client import Client

from services.bootstrap.settings import Settings
from shared.runtime import log, topology

logger = structlog.get_logger(__name__)
_DAY_NS = 86_400 * 10**9
# About 400 bytes an entry: five million; imports write by atomic batches.
_KEPT_DAYS = {topology.IMPORTS: 7}
_LARGE = {topology.SUPPRESSIONS: 2 * 1024**3, topology.TEMPLATE_VERSIONS: 2 * 1024**3}


async def ensure(wanted: Settings) -> bool:
    """Create or update the log, the dead letters, the consumers and the buckets; say whether the log is new.

    New is one that never held a record.

    Raises: BrokerUnavailable when the broker does not answer or refuses.
    """
    client = await log.connect(wanted.nats_url, "bootstrap")
    try:
        for config in streams(wanted):
            await _ensure_stream(client, config)
        found = await _ask(client, f"STREAM.INFO.{topology.LOG}", None)
        for durable in (*topology.CONSUMERS, *topology.BESIDES):
            await _ask(client, f"CONSUMER.DURABLE.CREATE.{durable.stream}.{durable.name}", consumer(durable))
    finally:
        await client.close()
    return found is not None and found["state"]["last_seq"] == 0


def streams(wanted: Settings) -> list[dict[str, Any]]:
    """Return the configuration of every stream, buckets included."""
    common = {"num_replicas": wanted.replicas, "storage": "file", "allow_direct": True}
    log_config = common | {
        "name": topology.LOG,
        "subjects": ["emails.>"],
        "retention": "limits",
        "discard": "new",
        "max_bytes": wanted.log_bytes,
        "duplicate_window": 120 * 10**9,
        "allow_atomic": True,
    }
    dead = common | {
        "name": topology.DEAD_LETTERS,
        "subjects": ["dead.>"],
        "discard": "old",
        "max_bytes": 1024**3,
        "max_age": 90 * _DAY_NS,
    }
    return [log_config, dead, *(common | _bucket(name) for name in topology.BUCKETS)]


def _bucket(name: str) -> dict[str, Any]:
    return {
        "name": f"KV_{name}",
        "subjects": [f"$KV.{name}.>"],
        "max_msgs_per_subject": 1,
        "allow_rollup_hdrs": True,
        "deny_delete": True,
        "discard": "new",
        "max_bytes": _LARGE.get(name, 256 * 1024**2),
        "allow_atomic": name in _LARGE,
        "max_age": _KEPT_DAYS.get(name, 0) * _DAY_NS,
        "duplicate_window": 120 * 10**9,
    }


def consumer(durable: topology.Durable) -> dict[str, Any]:
    """Return a durable's configuration: manual ack, no `backoff` (it would shorten `ack_wait`)."""
    return {
        "stream_name": durable.stream,
        "config": {
            "durable_name": durable.name,
            "deliver_subject": durable.deliver_subject,
            "deliver_group": durable.name,
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "ack_wait": int(topology.ACK_WAIT * 1e9),
            "max_deliver": -1,
            "max_ack_pending": durable.in_flight,
            "filter_subjects": list(durable.filters),
        },
    }


async def _ensure_stream(client: Client, config: dict[str, Any]) -> None:
    name = config["name"]
    found = await _ask(client, f"STREAM.INFO.{name}", None, missing_is_none=True)
    if found is None:
        await _ask(client, f"STREAM.CREATE.{name}", config)
        logger.info("stream_created", stream=name)
    elif any(found["config"].get(key) != value for key, value in config.items()):
        await _ask(client, f"STREAM.UPDATE.{name}", found["config"] | config)
        logger.info("stream_updated", stream=name)


async def _ask(
    client: Client, what: str, body: dict[str, Any] | None, *, missing_is_none: bool = False
) -> dict[str, Any] | None:
    try:
        data = msgspec.json.encode(body) if body is not None else b""
        answer = await client.request(f"$JS.API.{what}", data, timeout=15)
    except (nats.errors.Error, TimeoutError, OSError) as error:
        raise log.BrokerUnavailable(f"{what}: {error!r}") from error
    decoded: dict[str, Any] = msgspec.json.decode(answer.data)
    refusal = decoded.get("error")
    if refusal and missing_is_none and refusal.get("code") == 404:
        return None
    if refusal:
        raise log.BrokerUnavailable(f"{what}: {refusal.get('description')}")
    return decoded
