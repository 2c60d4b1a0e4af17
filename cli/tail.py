"""`sendlog tail`: what happens to a workspace's emails, as it happens.

Each event is shown once and in the log's order, also when the broker is away in between: where an ordered
consumer of ours ends, the next one begins.
"""

import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from cli import command, moment
from cli.command import Commands, Context
from cli.failure import USAGE, Failure
from cli.show import summary
from cli.terminal import Terminal, clean, fit, pad, width

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

    from shared.events.record import Record

SILENCE: Final = 3.0
_WIDEST: Final = len("unconfirmed")


def register(commands: Commands) -> None:
    """Add the command."""
    parser = command.add(
        commands,
        "tail",
        tail,
        "follow events live",
        "Reads the log itself (SENDLOG_NATS_URL); Ctrl-C ends it.",
    )
    parser.add_argument("--types", metavar="T,T", help="only these events, such as sent,failed")
    parser.add_argument("--email", metavar="ID", help="one email, from its beginning")
    parser.add_argument(
        "--since", metavar="TIME", help="begin that long ago (10m, 2h), or at an RFC 3339 time"
    )


async def tail(context: Context) -> None:
    """Print events until somebody has seen enough."""
    from cli import broker
    from shared.runtime import topology

    arguments, token = context.arguments, context.environment.api_key()
    types = {
        word.strip().removeprefix("email.") for word in (arguments.types or "").split(",") if word.strip()
    }
    since = moment.since(arguments.since) if arguments.since else None
    async with broker.connected(context.environment, "tail") as client:
        workspace = await broker.workspace(client, token)
        subject = f"emails.{workspace}.{_email(arguments.email)}.>"
        start = 1 if arguments.email else await _last(client, topology.LOG) + 1
        async for message in follow(client, topology.LOG, subject, start, since):
            name = message.subject.split(".")[3]
            if not types or name in types:
                _show(context, message)


def _email(text: str | None) -> str:
    if text is None:
        return "*"
    if re.fullmatch(r"[0-9a-fA-F-]{36}", text) is None:
        raise Failure(f"--email {text!r} is not an id", USAGE)
    return text.lower()


async def _last(client: "Client", stream: str) -> int:
    return (await client.jetstream().stream_info(stream)).state.last_seq


async def follow(
    client: "Client", stream: str, subject: str, start: int, since: datetime | None = None
) -> AsyncIterator["Msg"]:
    """Return the messages of a subject from a sequence (or a moment) on, each once and in order, for ever."""
    import nats

    while True:
        try:
            async for message in _consume(client, stream, subject, start, since):
                start, since = message.metadata.sequence.stream + 1, None
                yield message
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError):
            await _pause()


async def _pause() -> None:
    import asyncio

    await asyncio.sleep(0.5)


async def _consume(
    client: "Client", stream: str, subject: str, start: int, since: datetime | None
) -> AsyncIterator["Msg"]:
    """Return messages for as long as nothing is missing between them."""
    import nats

    subscription = await client.jetstream().subscribe(
        subject, stream=stream, manual_ack=True, config=_ordered(start, since)
    )
    expected = 1
    try:
        while True:
            try:
                message = await subscription.next_msg(timeout=SILENCE)
            except nats.errors.TimeoutError:
                await subscription.consumer_info()  # raises when the broker has forgotten it
                continue
            if message.metadata.sequence.consumer != expected:
                return
            expected += 1
            yield message
    finally:
        if client.is_connected:
            await subscription.unsubscribe()


def _ordered(start: int, since: datetime | None) -> Any:
    from nats.js import api

    place: dict[str, Any] = {"deliver_policy": api.DeliverPolicy.BY_START_SEQUENCE, "opt_start_seq": start}
    if since is not None:
        place = {"deliver_policy": api.DeliverPolicy.BY_START_TIME, "opt_start_time": since}
    return api.ConsumerConfig(
        **place,
        ack_policy=api.AckPolicy.NONE,
        max_deliver=1,
        mem_storage=True,
        inactive_threshold=60.0,
        idle_heartbeat=1.0,
        flow_control=True,
    )


def _show(context: Context, message: "Msg") -> None:
    from shared.events import record

    sequence = message.metadata.sequence.stream
    try:
        item = record.decode(message.subject, message.headers, message.data, sequence)
    except (record.UnknownEvent, record.Undecodable) as error:
        context.terminal.note(f"sendlog: {clean(error)}")
        return
    if context.as_json:
        context.terminal.say_json(as_data(item), indent=None)
    else:
        context.terminal.say(line(item, context.terminal))


def as_data(item: "Record") -> dict[str, Any]:
    """Return an event for a program: as the timeline of the API has it, and whose it is; without content."""
    import msgspec

    data = msgspec.to_builtins(item.event.without_content())
    return {
        "id": item.event_id,
        "type": f"email.{item.event.name}",
        "workspace": item.workspace,
        "email_id": item.email_id,
        "sequence": item.sequence,
        "occurred_at": data.pop("occurred_at"),
        "data": data,
    }


def line(item: "Record", terminal: Terminal) -> str:
    """Return an event for a person, on one line."""
    told = as_data(item)
    at, name = moment.shown(told["occurred_at"]), item.event.name
    begin = f"{at}  {clean(item.email_id)}  {pad(name, _WIDEST)}  "
    detail = _addressed(told["data"]) + summary(told["data"])
    if terminal.columns is not None:
        detail = fit(detail, max(20, terminal.columns - width(begin)))
    return f"{at}  {clean(item.email_id)}  {terminal.status(name, _WIDEST)}  {detail}".rstrip()


def _addressed(data: dict[str, Any]) -> str:
    """Return whom a request is for and what about; the other events are known by their id."""
    email = data.get("email")
    if "release" not in data or not email:
        return ""
    return clean(f"to {', '.join(one['address'] for one in email['to'])}: {email.get('subject', '')}; ")
