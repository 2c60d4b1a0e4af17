"""`sendlog ingest`: reports and replies from files, given to the tracker as its own mail server would give them.

For tests and for repair: what a broken mail route kept back is told again, and what was told already changes
nothing. A dry run only says what each message is; it needs nothing that runs.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from cli import command
from cli.command import Commands, Context
from cli.environment import CHECKOUT
from cli.failure import NO, OK, UNAVAILABLE, USAGE, Failure
from cli.terminal import clean

if TYPE_CHECKING:
    import asyncio
    import smtplib
    from urllib.parse import SplitResult

# By name, as `rebuild` starts the projector's: the command line imports no service.
MODULE: Final = "services.tracker.classify"
MAX_BYTES: Final = 32 * 1024 * 1024
WITHIN: Final = 60.0
_MAX_TRIED: Final = 20
# The separator has a sender and a date; a sentence that begins with From has none.
_SEPARATOR: Final = re.compile(rb"From (?:\S+ .*\d\d:\d\d.*|\S+ .*\d{4})\s*")
_ESCAPED: Final = re.compile(rb">+From ")
_SAID: Final = re.compile(r"taken as (\S+); said ([^;]*)(?:; email (\S+))?")


def register(commands: Commands) -> None:
    """Add the command."""
    parser = command.add(
        commands,
        "ingest",
        ingest,
        "give bounces, receipts and replies from files to the tracker",
        "Each FILE is a message (.eml), an mbox, a directory of either, or - for standard input. Sends to"
        " SENDLOG_INGRESS_URL. Ends with 1 when a message was refused or could not be read.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument(
        "--dry-run", action="store_true", help="only tell what each message is; needs no Sendlog"
    )
    parser.add_argument("--to", metavar="ADDRESS", help="the address they came to, where they do not say it")


async def ingest(context: Context) -> int:
    """Take each message in turn and tell what it was taken as."""
    arguments = context.arguments
    door = None if arguments.dry_run else _Door(context.environment.needed("SENDLOG_INGRESS_URL", "ingest"))
    outcome = OK
    reader = await _Reader.start(context)
    try:
        for name, raw in _messages(arguments.files):
            if raw is None:
                context.terminal.note(f"sendlog: {clean(name)}")
                outcome = NO
                continue
            found = await reader.classified(name, raw)
            if door is not None:
                found |= await door.give(raw, [arguments.to] if arguments.to else found["to"])
                outcome = outcome if found["taken"] else NO
            _tell(context, found)
    finally:
        await reader.stop()
        if door is not None:
            door.close()
    return outcome


def _tell(context: Context, found: dict[str, Any]) -> None:
    if context.as_json:
        context.terminal.say_json(found, indent=None)
        return
    words = [found["kind"], found["class"], found["code"] or found["smtp_code"], found["category"]]
    line = " ".join(str(word) for word in words if word) + (" auto" if found["auto_reason"] else "")
    about = ", ".join(found["recipients"])
    said = ""
    if "taken" in found:
        said = f"; {found['answer']}" if not found["taken"] or not found["changed"] else ""
        said = said or f"; said {' '.join(found['said'])} of {found['email_id']}"
    context.terminal.say(clean(f"{found['file']}: {line}{f' about {about}' if about else ''}{said}"))


class _Reader:
    """The process that says what a message is."""

    def __init__(self, process: "asyncio.subprocess.Process") -> None:
        self._process = process

    @classmethod
    async def start(cls, context: Context) -> "_Reader":
        """Start it; it reads no settings."""
        import asyncio

        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            MODULE,
            cwd=CHECKOUT,
            env=context.environment.for_processes(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=MAX_BYTES,
        )
        return cls(process)

    async def classified(self, name: str, raw: bytes) -> dict[str, Any]:
        """Return what the message is. Raises: Failure."""
        import json

        assert self._process.stdin is not None
        assert self._process.stdout is not None
        head = json.dumps({"file": name.encode("utf-8", "replace").decode(), "size": len(raw)}).encode()
        try:
            self._process.stdin.write(head + b"\n" + raw)
            await self._process.stdin.drain()
        except ConnectionError:
            raise Failure("ingest: the reader of messages has ended", UNAVAILABLE) from None
        line = await self._process.stdout.readline()
        if not line:
            raise Failure("ingest: the reader of messages has ended", UNAVAILABLE)
        found: dict[str, Any] = json.loads(line)
        return found

    async def stop(self) -> None:
        """End it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()


class _Door:
    """The tracker's inbound mail, by SMTP or LMTP as the URL says; one session for all messages."""

    def __init__(self, url: str) -> None:
        from urllib.parse import urlsplit

        self._url: SplitResult = urlsplit(url)
        if self._url.scheme not in ("smtp", "lmtp") or not self._url.hostname:
            raise Failure(f"SENDLOG_INGRESS_URL={url!r} must be like smtp://127.0.0.1:2526", USAGE)
        self._session: smtplib.SMTP | None = None

    async def give(self, raw: bytes, to: list[str]) -> dict[str, Any]:
        """Hand one message in and return the answer. Raises: Failure when nobody is there or it must wait."""
        import asyncio
        import smtplib

        try:
            code, text = await asyncio.to_thread(self._transact, raw, to)
        except (OSError, smtplib.SMTPException) as error:
            raise Failure(f"{self._url.geturl()}: {error}", UNAVAILABLE) from error
        if 400 <= code < 500:
            raise Failure(f"the tracker cannot take it now: {code} {text}", UNAVAILABLE)
        said = _SAID.search(text)
        names = [name for name in said[2].split() if name != "nothing"] if said else []
        return {
            "taken": code < 300,
            "changed": bool(names),
            "said": names,
            "email_id": said[3] if said else None,
            "answer": f"{code} {text}",
        }

    def _transact(self, raw: bytes, to: list[str]) -> tuple[int, str]:
        session = self._session or self._open()
        self._session = session
        session.mail("")
        code, answer = 550, b"it names no address that it came to: say which with --to"
        for address in to[:_MAX_TRIED]:
            code, answer = session.rcpt(address)
            if code < 300:
                # The same bytes as came over the wire, so that what was told before is known again.
                code, answer = session.data(re.sub(rb"\r?\n", b"\r\n", raw))
                break
        session.rset()
        return code, answer.decode("utf-8", "replace")

    def _open(self) -> "smtplib.SMTP":
        import smtplib

        make = smtplib.LMTP if self._url.scheme == "lmtp" else smtplib.SMTP
        session = make(self._url.hostname or "", self._url.port or 2526)
        assert session.sock is not None
        session.sock.settimeout(WITHIN)
        session.ehlo_or_helo_if_needed()
        return session

    def close(self) -> None:
        """Hang up."""
        if self._session is not None:
            self._session.close()


def _messages(names: list[str]) -> Iterator[tuple[str, bytes | None]]:
    """Yield each message with its name, or what is wrong and None."""
    for name in names:
        if name == "-":
            yield from split("-", sys.stdin.buffer)
            continue
        path = Path(name)
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_dir() or (path.is_dir() and file.name.startswith(".")):
                continue
            try:
                with file.open("rb") as source:
                    yield from split(str(file), source)
            except OSError as error:
                yield f"{file}: {error.strerror or error}", None


def split(name: str, source: BinaryIO) -> Iterator[tuple[str, bytes]]:
    """Yield the messages of an mbox one by one, numbered; anything else is one message."""
    first = source.readline(MAX_BYTES)
    if not _SEPARATOR.fullmatch(first.rstrip(b"\r\n")):
        yield name, first + source.read(MAX_BYTES - len(first))
        return
    lines: list[bytes] = []
    number, is_blank = 1, False
    for line in source:
        if is_blank and line.startswith(b"From ") and _SEPARATOR.fullmatch(line.rstrip(b"\r\n")):
            yield f"{name}#{number}", b"".join(lines)
            number, lines = number + 1, []
        else:
            lines.append(line[1:] if _ESCAPED.match(line) else line)
        is_blank = not line.strip()
    yield f"{name}#{number}", b"".join(lines)
