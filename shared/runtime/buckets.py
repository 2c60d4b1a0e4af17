"""Configuration buckets: JetStream KV watched into memory, and never behind for more than a second.

A watch alone was seen 17 s late after a broker restart; so every 500 ms the bucket's last sequence is
compared with the leader's, and while they differ the leader itself is asked. A miss is confirmed at
the leader before anyone is told that something does not exist.
"""

import asyncio
from contextlib import suppress
from typing import Generic, TypeVar

import msgspec
import nats
import structlog
from nats.aio.client import Client
from nats.js.kv import KeyValue

from shared.runtime import process
from shared.runtime.log import BrokerUnavailable

logger = structlog.get_logger(__name__)
T = TypeVar("T")
COMPARE_EVERY = 0.5
SETTLED_AFTER = 1.1
WATCH_WITHIN = 0.1
WRONG_LAST_SEQUENCE = 10071


class _State(msgspec.Struct):
    last_seq: int


class _Info(msgspec.Struct):
    state: _State | None = None


_decode_info = msgspec.json.Decoder(_Info).decode


class Changed(Exception):
    """The entry was changed by somebody else since it was read."""


class Bucket(Generic[T]):
    """Typed entries of one bucket: reads from memory, writes to the leader."""

    def __init__(self, client: Client, name: str, kind: type[T]) -> None:
        self._client = client
        self._name = name
        self._decode = msgspec.json.Decoder(kind).decode
        self._encode = msgspec.json.Encoder().encode
        self._entries: dict[str, tuple[int, T]] = {}
        self._removed: dict[str, int] = {}
        self._seen = 0
        self._behind = True
        self._checked_at = 0.0
        self._kv: KeyValue | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._catching_up: asyncio.Task[None] | None = None
        self._moved = asyncio.Event()

    async def open(self) -> None:
        """Read all entries, then follow changes until `close`. Raises: BrokerUnavailable."""
        try:
            self._kv = await self._client.jetstream().key_value(self._name)
            await self._read_all()
        except nats.js.errors.NotFoundError as error:
            raise BrokerUnavailable(f"there is no bucket {self._name}: run the bootstrap first") from error
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError) as error:
            raise BrokerUnavailable(f"bucket {self._name}: {error!r}") from error
        self._tasks = [
            asyncio.create_task(self._watch(), name=f"{self._name}-watch"),
            asyncio.create_task(self._compare(), name=f"{self._name}-compare"),
        ]

    async def close(self) -> None:
        """Stop following changes."""
        await process.end(*self._tasks, *([self._catching_up] if self._catching_up else []))

    async def catch_up(self) -> None:
        """Return when memory has all that the leader had when this was called.

        However many call at once, one question at a time goes to the leader. Raises: BrokerUnavailable.
        """
        earlier = self._catching_up
        if earlier is not None and not earlier.done():  # it may have asked before our entry was written
            await asyncio.wait([earlier])
        if self._catching_up is earlier or self._catching_up is None:
            self._catching_up = asyncio.create_task(self._catch_up(), name=f"{self._name}-catch-up")
            self._catching_up.add_done_callback(_note)  # its callers may all be gone when it fails
        await asyncio.shield(self._catching_up)

    async def get(self, key: str) -> T | None:
        """Return the entry; asks the leader when memory has none or may be behind.

        Raises: BrokerUnavailable when memory has none and the leader does not answer.
        """
        known = self._entries.get(key)
        if known is not None and not self.is_behind():
            return known[1]
        try:
            found = await self.read(key)
        except BrokerUnavailable:
            if known is not None:  # the last we knew beats refusing to work
                return known[1]
            raise
        return found[1] if found else None

    def peek(self, key: str) -> T | None:
        """Return the entry as memory has it."""
        known = self._entries.get(key)
        return known[1] if known else None

    def items(self) -> dict[str, T]:
        """Return all entries as memory has them."""
        return {key: value for key, (_, value) in self._entries.items()}

    async def read(self, key: str) -> tuple[int, T] | None:
        """Return (revision, entry) from the leader, or None. Raises: BrokerUnavailable."""
        try:
            message = await self._client.jetstream(timeout=2).get_msg(
                f"KV_{self._name}", subject=f"$KV.{self._name}.{key}", direct=False
            )
        except nats.js.errors.NotFoundError:
            return None
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise BrokerUnavailable(f"bucket {self._name}: {error!r}") from error
        revision = message.seq or 0
        if (message.headers or {}).get("KV-Operation") in ("DEL", "PURGE"):
            self._forget(key, revision)
            return None
        value = self._decode(message.data or b"")
        self._remember(key, revision, value)
        return revision, value

    async def put(self, key: str, value: T, *, revision: int | None = None) -> int:
        """Write the entry and return its revision; with `revision`, only if it is still that (0: new).

        Raises: Changed, BrokerUnavailable.
        """
        headers = {} if revision is None else {"Nats-Expected-Last-Subject-Sequence": str(revision)}
        return await self._write(key, self._encode(value), headers, value)

    async def create(self, key: str, value: T) -> int:
        """Write an entry where there is none, also where one was removed. Raises: Changed, BrokerUnavailable."""
        try:
            return await self.put(key, value, revision=0)
        except Changed:
            if await self.read(key) is not None:
                raise
        return await self.put(key, value, revision=self._removed.get(key, 0))

    async def delete(self, key: str, *, revision: int | None = None) -> None:
        """Remove the entry; with `revision`, only if it is still that. Raises: Changed, BrokerUnavailable."""
        headers = {} if revision is None else {"Nats-Expected-Last-Subject-Sequence": str(revision)}
        await self._write(key, b"", {"KV-Operation": "DEL", **headers}, None)

    async def _write(self, key: str, data: bytes, headers: dict[str, str], value: T | None) -> int:
        try:
            ack = await self._client.jetstream(timeout=2).publish(
                f"$KV.{self._name}.{key}", data, headers=headers
            )
        except nats.js.errors.APIError as error:
            if error.err_code == WRONG_LAST_SEQUENCE:
                raise Changed(key) from error
            raise BrokerUnavailable(f"bucket {self._name}: {error!r}") from error
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise BrokerUnavailable(f"bucket {self._name}: {error!r}") from error
        if value is None:
            self._forget(key, ack.seq)
        else:
            self._remember(key, ack.seq, value)
        return ack.seq

    def _remember(self, key: str, revision: int, value: T) -> None:
        known = self._entries.get(key)
        if revision > self._removed.get(key, 0) and (known is None or known[0] < revision):
            self._entries[key] = (revision, value)

    def _forget(self, key: str, revision: int) -> None:
        known = self._entries.get(key)
        if known is None or known[0] < revision:
            self._entries.pop(key, None)
            self._removed[key] = max(revision, self._removed.get(key, 0))

    def is_behind(self) -> bool:
        """Say whether memory may lack what the leader has."""
        return self._behind or asyncio.get_running_loop().time() - self._checked_at > 2 * COMPARE_EVERY

    async def _read_all(self) -> None:
        """Read the bucket as it is at the leader: whatever is not there any more is forgotten."""
        assert self._kv is not None
        last = await self._last_at_leader()
        watcher = await self._kv.watchall()
        found: set[str] = set()
        try:
            async for entry in watcher:
                if entry is None:
                    break
                found.add(entry.key)
                self._take(entry)
        finally:
            await watcher.stop()  # type: ignore[no-untyped-call]
        for key in set(self._entries) - found:
            if self._entries[key][0] <= last:
                self._forget(key, last)
        self._seen = max(self._seen, last)
        self._behind = False
        self._checked_at = asyncio.get_running_loop().time()

    def _take(self, entry: KeyValue.Entry) -> None:
        revision = entry.revision or 0
        self._seen = max(self._seen, revision)
        self._moved.set()
        if entry.operation in ("DEL", "PURGE"):
            self._forget(entry.key, revision)
            return
        try:
            self._remember(entry.key, revision, self._decode(entry.value or b""))
        except msgspec.MsgspecError as error:
            logger.error("entry_unreadable", bucket=self._name, key=entry.key, error=str(error))

    async def _watch(self) -> None:
        while True:
            try:
                assert self._kv is not None
                watcher = await self._kv.watchall()
                assert watcher._sub is not None
                # It looks four times a second for a reply that is owed only where there is no callback.
                watcher._sub._sub._jsi._fctask.cancel()
                async for entry in watcher:
                    if entry is not None:
                        self._take(entry)
            except (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError) as error:
                logger.warning("watch_failed", bucket=self._name, error=repr(error))
            await asyncio.sleep(1)

    async def _catch_up(self) -> None:
        """Give the watch a moment; one that is late is read past."""
        try:
            last = await self._last_at_leader()
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH_WITHIN):
                    while self._seen < last:
                        self._moved.clear()
                        await self._moved.wait()
            if self._seen < last:
                await self._read_all()
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError) as error:
            raise BrokerUnavailable(f"bucket {self._name}: {error!r}") from error
        self._behind = False
        self._checked_at = asyncio.get_running_loop().time()

    async def _last_at_leader(self) -> int:
        # Asked twice a second for every bucket: nats-py's `stream_info` costs half as much again.
        answer = await self._client.request(f"$JS.API.STREAM.INFO.KV_{self._name}", timeout=2)
        info = _decode_info(answer.data)
        if info.state is None:
            raise nats.errors.Error(f"the broker did not tell of bucket {self._name}: {answer.data[:200]!r}")
        return info.state.last_seq

    async def _compare(self) -> None:
        """Notice that the watch is late; one that stays late is read again in full."""
        late = 0
        while True:
            await asyncio.sleep(COMPARE_EVERY)
            try:
                last = await self._last_at_leader()
                self._behind = self._seen < last
                self._checked_at = asyncio.get_running_loop().time()
                late = late + 1 if self._behind else 0
                if late >= 3:
                    await self._read_all()
                    late = 0
            except (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError) as error:
                self._behind = True
                logger.debug("compare_failed", bucket=self._name, error=repr(error))


def _note(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()
