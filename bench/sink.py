"""A very fast pipelining SMTP sink: takes everything, keeps nothing but counts.

    python bench/sink.py [--port 0] [--control 0] [--ids]

Prints `sink PORT control CONTROL` when it listens. The control port speaks one line each way:
`count` answers JSON totals, `ids` one JSON line per Message-ID (needs --ids: how often it came and when
its first MAIL did, wall clock), `reset` forgets all.
"""

import argparse
import asyncio
import contextlib
import json
import time

import uvloop

_EHLO = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250 SIZE 104857600\r\n"
_OK, _GO, _DONE = b"250 2.0.0 ok\r\n", b"354 go\r\n", b"250 2.0.0 queued\r\n"
_END = b"\r\n.\r\n"


class Counts:
    """What has come so far, over all connections."""

    def __init__(self, keep_ids: bool) -> None:
        self.keep_ids = keep_ids
        self.messages = self.recipients = self.octets = self.sessions = 0
        self.ids: dict[str, list[float]] = {}

    def took(self, message: bytes, recipients: int, mail_at: float) -> None:
        self.messages += 1
        self.recipients += recipients
        self.octets += len(message)
        if self.keep_ids:
            entry = self.ids.setdefault(_message_id(message), [0, mail_at])
            entry[0] += 1

    def reset(self) -> None:
        self.__init__(self.keep_ids)  # type: ignore[misc]

    def totals(self) -> str:
        return json.dumps(
            {
                "messages": self.messages,
                "recipients": self.recipients,
                "octets": self.octets,
                "sessions": self.sessions,
                "unique": len(self.ids),
                "duplicates": sum(int(count) - 1 for count, _ in self.ids.values()),
            }
        )


def _message_id(message: bytes) -> str:
    head = message[: max(message.find(b"\r\n\r\n"), 0) or None]
    for name in (b"\r\nMessage-ID:", b"\r\nMessage-Id:", b"\r\nmessage-id:"):
        if (at := (b"\r\n" + head).find(name)) >= 0:
            line = (b"\r\n" + head)[at + len(name) :].split(b"\r\n", 2)
            return (line[0].strip() or line[1].strip()).decode("latin-1")
    return ""


class Smtp(asyncio.Protocol):
    """One connection. All commands of a packet are answered in one write."""

    def __init__(self, counts: Counts) -> None:
        self.counts = counts
        self.transport: asyncio.Transport
        self.buffer = b""
        self.body: list[bytes] | None = None
        self.rcpt = 0
        self.mail_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.counts.sessions += 1
        self.transport = transport  # type: ignore[assignment]
        self.transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        data = self.buffer + data
        self.buffer = b""
        out: list[bytes] = []
        while data:
            if self.body is not None:
                data = self.take_body(data, out)
            else:
                line, end, rest = data.partition(b"\r\n")
                if not end:
                    self.buffer = data
                    break
                data = rest
                self.command(line, out)
        if out:
            self.transport.write(b"".join(out))

    def take_body(self, data: bytes, out: list[bytes]) -> bytes:
        assert self.body is not None
        # The line end before a lone dot may be in the piece before: keep a tail to find it in.
        tail = self.body.pop() if self.body else b"\r\n"
        joined = tail + data
        at = joined.find(_END)
        if at < 0:
            self.body += [joined[:-4], joined[-4:]]
            return b""
        self.body.append(joined[:at])
        self.counts.took(b"".join(self.body)[2:], self.rcpt, self.mail_at)
        self.body = None
        out.append(_DONE)
        return joined[at + 5 :]

    def command(self, line: bytes, out: list[bytes]) -> None:
        verb = line[:4].upper()
        if verb == b"RCPT":
            self.rcpt += 1
            out.append(_OK)
        elif verb == b"MAIL":
            self.rcpt = 0
            self.mail_at = time.time()
            out.append(_OK)
        elif verb == b"DATA":
            self.body = []
            out.append(_GO)
        elif verb == b"EHLO":
            out.append(_EHLO)
        elif verb == b"QUIT":
            self.transport.write(b"".join([*out, b"221 bye\r\n"]))
            out.clear()
            self.transport.close()
        else:
            out.append(_OK)


async def control(counts: Counts, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        word = (await reader.readline()).strip()
        if word == b"count":
            writer.write(counts.totals().encode() + b"\n")
        elif word == b"ids":
            for message_id, (count, at) in counts.ids.items():
                writer.write(
                    json.dumps({"message_id": message_id, "count": int(count), "at": at}).encode() + b"\n"
                )
                await writer.drain()
        elif word == b"reset":
            counts.reset()
            writer.write(b"{}\n")
        await writer.drain()
    writer.close()


async def serve(port: int, control_port: int, keep_ids: bool) -> None:
    counts = Counts(keep_ids)
    loop = asyncio.get_running_loop()
    smtp = await loop.create_server(lambda: Smtp(counts), "127.0.0.1", port, backlog=1024)
    admin = await asyncio.start_server(lambda r, w: control(counts, r, w), "127.0.0.1", control_port)
    ports = smtp.sockets[0].getsockname()[1], admin.sockets[0].getsockname()[1]
    print(f"sink {ports[0]} control {ports[1]}", flush=True)
    await smtp.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--control", type=int, default=0)
    parser.add_argument("--ids", action="store_true")
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve(options.port, options.control, options.ids))
