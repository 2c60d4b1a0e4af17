"""The connection to the broker and the reading of one email's records.

Reading is always by email and in order; nobody scans the log. A direct get may answer from a replica
that lags, so whoever is about to say "there is no such email" asks the leader.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import nats
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.events import base, record
from shared.runtime import topology
from shared.runtime.telemetry import without_credentials

logger = structlog.get_logger(__name__)
_PAGE = 256
_ENDS_A_PAGE = ("204", "404")


class BrokerUnavailable(Exception):
    """The broker did not answer in time: nothing is known about the request."""


class Inbox:
    """One reply subscription for many requests, each of which may get several answers."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._prefix = client.new_inbox()
        self._waiting: dict[str, Callable[[Msg], None]] = {}
        self._count = 0

    async def open(self) -> None:
        """Subscribe; call once after connecting."""
        await self._client.subscribe(f"{self._prefix}.*", cb=self._on_message)

    def expect(self, on_answer: Callable[[Msg], None]) -> str:
        """Return a reply subject whose answers go to `on_answer` until `forget`."""
        self._count += 1
        reply = f"{self._prefix}.{self._count}"
        self._waiting[reply] = on_answer
        return reply

    def forget(self, reply: str) -> None:
        """Stop listening on a reply subject."""
        self._waiting.pop(reply, None)

    async def _on_message(self, message: Msg) -> None:
        handler = self._waiting.get(message.subject)
        if handler is not None:
            handler(message)


class Log:
    """The EMAILS stream as every process sees it: one connection, reading by email."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.inbox = Inbox(client)
        self.replicas = 1

    async def open(self) -> None:
        """Subscribe the inbox and learn how many replicas the log has."""
        await self.inbox.open()
        info = await self.client.jetstream().stream_info(topology.LOG)
        self.replicas = info.config.num_replicas or 1

    async def write(self, commands: bytes) -> None:
        """Write protocol lines that were put together by ourselves, in one piece.

        nats-py checks and copies every header of every publish: 16 us a record against 3 us.
        """
        await self.client._send_command(commands)
        await self.client._flush_pending()

    async def history(self, workspace: str, email_id: str, *, within: float = 5.0) -> list[record.Record]:
        """Return all records of one email that the log still has, in order, as the leader sees them.

        Records this version cannot read stand as `base.Unknown`: the last sequence is what a guard names.
        Raises: BrokerUnavailable.
        """
        subject = record.history_subject(workspace, email_id)
        try:
            async with asyncio.timeout(within):
                if self.replicas == 1:
                    return await self._read_directly(subject)
                return await self._read_from_leader(subject)
        except (TimeoutError, nats.errors.Error, OSError) as error:
            raise BrokerUnavailable(f"the history of {email_id} could not be read: {error!r}") from error

    async def _read_directly(self, subject: str) -> list[record.Record]:
        records: list[record.Record] = []
        start = 1
        while True:
            messages, pending = await self._page(subject, start)
            for message in messages:
                head = message.headers or {}
                sequence = int(head["Nats-Sequence"])
                records.append(_decode(head["Nats-Subject"], head, message.data, sequence))
                start = sequence + 1
            if not pending or not messages:
                return records

    async def _page(self, subject: str, start: int) -> tuple[list[Msg], bool]:
        """Return up to a page of messages from `start` on, and whether more are there."""
        messages: list[Msg] = []
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def on_answer(message: Msg) -> None:
            head = message.headers or {}
            if "Nats-Sequence" in head:
                messages.append(message)
            elif not done.done():
                end_page(done, head)

        reply = self.inbox.expect(on_answer)
        try:
            ask = {"seq": start, "next_by_subj": subject, "batch": _PAGE}
            await self.client.publish(
                f"$JS.API.DIRECT.GET.{topology.LOG}", json.dumps(ask).encode(), reply=reply
            )
            pending = await done
        finally:
            self.inbox.forget(reply)
        return messages, pending

    async def _read_from_leader(self, subject: str) -> list[record.Record]:
        records: list[record.Record] = []
        start = 1
        stream = self.client.jetstream()
        while True:
            try:
                message = await stream.get_msg(topology.LOG, seq=start, subject=subject, next=True)
            except nats.js.errors.NotFoundError:
                return records
            sequence = message.seq or 0
            head = dict(message.headers or {})
            records.append(_decode(message.subject or "", head, message.data or b"", sequence))
            start = sequence + 1


def end_page(done: "asyncio.Future[bool]", head: Mapping[str, str]) -> None:
    """End a page of a direct get: with whether more is there, or with BrokerUnavailable.

    Only 204 (end of the batch) and 404 (nothing there) say anything about the log; with 503 nobody was asked.
    """
    status = head.get("Status", "")
    if status in _ENDS_A_PAGE:
        done.set_result(head.get("Nats-Num-Pending", "0") not in ("0", ""))
    else:
        why = f"{status} {head.get('Description', '')}".strip() or "no status"
        done.set_exception(BrokerUnavailable(f"the broker did not read: {why}"))


def _decode(subject: str, head: dict[str, str], data: bytes, sequence: int) -> record.Record:
    try:
        return record.decode(subject, head, data, sequence)
    except (record.UnknownEvent, record.Undecodable) as error:
        logger.warning("record_unreadable", error=str(error))
        _, workspace, email_id, *_ = subject.split(".")
        unknown = base.Unknown(occurred_at=datetime.fromtimestamp(0, UTC))
        event_id = base.EventId(head.get("ce-id", ""))
        return record.Record(base.WorkspaceId(workspace), base.EmailId(email_id), event_id, unknown, sequence)


def parse_headers_fast(client: Client) -> None:
    """Give a connection a header parser that looks at lines, not at every character.

    nats-py tests each character of each name for white space: 8 us a record against 2 us (docs/adr/0002).
    """
    client._parse_header_lines = _header_lines  # type: ignore[method-assign]


def _header_lines(raw: bytes) -> dict[str, str]:
    out: dict[str, str] = {}
    for line in raw.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            out[name.strip()] = value.strip()
    return out


async def connect(url: str, name: str) -> Client:
    """Return a connection that reconnects for ever and never buffers while the broker is away.

    Raises: BrokerUnavailable when the first connection cannot be made within 30 s.
    """

    async def on_error(error: Exception) -> None:
        logger.warning("broker_error", error=repr(error))

    options: dict[str, Any] = {
        "name": name,
        "max_reconnect_attempts": -1,
        "reconnect_time_wait": 0.2,
        "connect_timeout": 2,
        "ping_interval": 5,
        "max_outstanding_pings": 2,
        "pending_size": 64 * 1024 * 1024,
        "error_cb": on_error,
    }
    try:
        async with asyncio.timeout(30):
            client = await nats.connect(url, **options)
    except (TimeoutError, nats.errors.Error, OSError) as error:
        raise BrokerUnavailable(f"no broker at {without_credentials(url)}: {error!r}") from error
    parse_headers_fast(client)
    return client


class PubAck(msgspec.Struct):
    """The broker's answer to a publish or to the commit of an atomic batch."""

    class Error(msgspec.Struct):
        """Why the broker refused."""

        code: int = 0
        err_code: int = 0
        description: str = ""

    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    batch: str = ""
    count: int = 0
    error: Error | None = None


decode_ack = msgspec.json.Decoder(PubAck).decode
