"""`sendlog dead-letters`: records that were set aside because nobody could handle them, and their way back.

Whoever reaches the broker is the operator: all workspaces' are here. A record goes back into the log before it is
taken from here, so one may come twice and none is lost; its event id makes the second one recognisable.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cli import command, moment
from cli.command import Commands, Context
from cli.failure import USAGE, Failure
from cli.terminal import clean, clean_text

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.js.api import RawStreamMsg

_PREFIX: Final = "dead."
_COLUMNS: Final = ("consumer", "workspace", "email_id", "event", "reason")
_OURS: Final = ("sendlog-consumer", "sendlog-reason")


class Letter(NamedTuple):
    """One record that was set aside, as it was."""

    sequence: int
    at: datetime | None
    consumer: str
    nats_subject: str
    headers: dict[str, str]
    payload: bytes

    def told(self) -> dict[str, Any]:
        """Return what is worth knowing of it, without what it says."""
        parts = [*self.nats_subject.split("."), "", "", "", ""]
        return {
            "sequence": self.sequence,
            "set_aside_at": self.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ") if self.at else None,
            "consumer": self.consumer,
            "workspace": parts[1],
            "email_id": parts[2],
            "event": parts[3],
            "event_id": self.headers.get("ce-id"),
            "type": self.headers.get("ce-type"),
            "reason": self.headers.get("sendlog-reason"),
        }


def register(commands: Commands) -> None:
    """Add the commands."""
    letters = command.group(commands, "dead-letters", "see and retry records that were set aside")
    parser = command.add(letters, "list", list_, "list what was set aside, oldest first")
    parser.add_argument("--consumer", metavar="NAME", help="only what this consumer set aside")
    parser.add_argument("--limit", type=command.count, default=100, metavar="N", help="at most so many (100)")
    parser = command.add(
        letters, "show", show, "tell everything about one", "Its payload is an email's content."
    )
    parser.add_argument("sequence", type=command.count, metavar="SEQUENCE")
    parser = command.add(
        letters,
        "retry",
        retry,
        "put records back into the log to be handled",
        "Mend the cause first, or they are set aside again. They become the last records of their emails.",
    )
    parser.add_argument("sequence", type=command.count, nargs="*", metavar="SEQUENCE")
    parser.add_argument("--all", action="store_true", help="everything there is now")
    parser.add_argument("--consumer", metavar="NAME", help="with --all: only what this consumer set aside")


async def list_(context: Context) -> None:
    """List what is there."""
    from cli import broker

    found: list[Letter] = []
    async with broker.connected(context.environment, "dead-letters") as client:
        async for letter in _every(client, context.arguments.consumer):
            if len(found) == context.arguments.limit:
                context.terminal.note("there is more: give a larger --limit")
                break
            found.append(letter)
    rows = [letter.told() for letter in found]
    if context.as_json:
        context.terminal.say_json(rows)
        return
    context.terminal.table(
        ("SEQUENCE", "SET ASIDE", "CONSUMER", "WORKSPACE", "EMAIL", "EVENT", "REASON"),
        [
            (row["sequence"], moment.shown(row["set_aside_at"]), *(row[name] for name in _COLUMNS))
            for row in rows
        ],
    )


async def show(context: Context) -> None:
    """Tell one."""
    import json

    from cli import broker

    async with broker.connected(context.environment, "dead-letters") as client:
        letter = await _one(client, context.arguments.sequence)
    told = letter.told() | {"headers": letter.headers, "payload": _readable(letter.payload)}
    if context.as_json:
        context.terminal.say_json(told)
        return
    names = {name: str(value) for name, value in told.items() if value and name not in ("headers", "payload")}
    context.terminal.pairs(
        [(name.replace("_", " ").capitalize(), clean(text)) for name, text in names.items()]
    )
    context.terminal.heading("Headers")
    context.terminal.pairs([(clean(name), clean(value)) for name, value in letter.headers.items()])
    context.terminal.heading("Payload")
    payload = told["payload"]
    context.terminal.say(clean_text(payload if isinstance(payload, str) else json.dumps(payload, indent=2)))


def _readable(payload: bytes) -> Any:
    import json

    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode("utf-8", "backslashreplace")


async def retry(context: Context) -> None:
    """Put some back, or all of them."""
    from cli import broker

    arguments = context.arguments
    if arguments.all == bool(arguments.sequence):
        raise Failure("name the sequences to retry, or give --all", USAGE)
    async with broker.connected(context.environment, "dead-letters") as client:
        if arguments.all:
            letters = [letter async for letter in _every(client, arguments.consumer)]
        else:
            letters = [await _one(client, sequence) for sequence in arguments.sequence]
        for letter in letters:
            await _put_back(client, letter)
    if context.as_json:
        context.terminal.say_json([letter.told() for letter in letters])
    else:
        context.terminal.say(f"{len(letters)} put back")


async def _put_back(client: "Client", letter: Letter) -> None:
    from shared.runtime import topology

    kept = {name: value for name, value in letter.headers.items() if name not in _OURS}
    await client.jetstream(timeout=5).publish(letter.nats_subject, letter.payload, headers=kept)
    await client.jetstream(timeout=5).delete_msg(topology.DEAD_LETTERS, letter.sequence)


async def _every(client: "Client", consumer: str | None) -> AsyncIterator[Letter]:
    """Yield everything that is there now, oldest first; what is put aside meanwhile is not looked for."""
    from nats.js.errors import NotFoundError

    from shared.runtime import topology

    stream = client.jetstream(timeout=5)
    last = (await stream.stream_info(topology.DEAD_LETTERS)).state.last_seq
    sequence, subject = 1, f"{_PREFIX}{_word(consumer)}.>"
    while sequence <= last:
        try:
            message = await stream.get_msg(topology.DEAD_LETTERS, seq=sequence, subject=subject, next=True)
        except NotFoundError:
            return
        yield _read(message)
        sequence = (message.seq or last) + 1


def _word(consumer: str | None) -> str:
    if consumer is None:
        return "*"
    if not consumer.replace("-", "").replace("_", "").isalnum():
        raise Failure(f"--consumer {consumer!r} is no name", USAGE)
    return consumer


async def _one(client: "Client", sequence: int) -> Letter:
    from nats.js.errors import NotFoundError

    from shared.runtime import topology

    try:
        return _read(await client.jetstream(timeout=5).get_msg(topology.DEAD_LETTERS, seq=sequence))
    except NotFoundError as error:
        raise Failure(f"there is no dead letter {sequence}") from error


def _read(message: "RawStreamMsg") -> Letter:
    consumer, _, subject = (message.subject or "").removeprefix(_PREFIX).partition(".")
    return Letter(
        message.seq or 0,
        message.time,
        consumer,
        subject,
        dict(message.headers or {}),
        message.data or b"",
    )
