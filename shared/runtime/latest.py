"""The newest message of many subjects by one question (ADR-31 of the broker: `multi_last`), and how new the answer is.

A direct get may be answered by a replica that lags: an answer counts only if it is as new as what the leader had
when it was asked.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.runtime.log import BrokerUnavailable, Inbox

PAGE: Final = 1000  # above 1024 the broker answers 413
WITHIN: Final = 5.0
_LAGS: Final = 0.02


class Latest(NamedTuple):
    """The newest message of one subject; `data` is None when it says that the entry was removed."""

    sequence: int
    data: bytes | None


class Latests:
    """Asks one stream. `witness` is a subject that always has a message.

    Without it the answer to "none of these" would not say how new it is, and an emptied stream would look like
    one that knows of nothing.
    """

    def __init__(self, client: Client, stream: str, witness: str) -> None:
        self._client, self._stream, self._witness = client, stream, witness
        self._inbox = Inbox(client)
        self._replicas = 0

    async def open(self) -> None:
        """Learn whether there are replicas that may lag. Raises: BrokerUnavailable."""
        try:
            await self._inbox.open()
            info = await self._client.jetstream(timeout=5).stream_info(self._stream)
        except nats.js.errors.NotFoundError as error:
            raise BrokerUnavailable(f"there is no stream {self._stream}: run the bootstrap first") from error
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise BrokerUnavailable(f"{self._stream}: {error!r}") from error
        self._replicas = info.config.num_replicas or 1

    async def of(self, subjects: Sequence[str]) -> dict[str, Latest]:
        """Return what is known of those subjects that ever had a message, as the leader knew it when asked.

        Raises: BrokerUnavailable.
        """
        found: dict[str, Latest] = {}
        try:
            async with asyncio.timeout(WITHIN):
                for start in range(0, len(subjects), PAGE):
                    found |= await self._page(subjects[start : start + PAGE])
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise BrokerUnavailable(f"{self._stream}: {error!r}") from error
        return found

    async def _page(self, subjects: Sequence[str]) -> dict[str, Latest]:
        if self._replicas == 1:
            return (await self._ask(subjects))[1]
        (up_to, found), last = await asyncio.gather(self._ask(subjects), self._last_at_leader())
        while up_to < last:  # a replica that lags; it may be another one the next time
            await asyncio.sleep(_LAGS)
            up_to, found = await self._ask(subjects)
        return found

    async def _last_at_leader(self) -> int:
        return (await self._client.jetstream(timeout=WITHIN).stream_info(self._stream)).state.last_seq

    async def _ask(self, subjects: Sequence[str]) -> tuple[int, dict[str, Latest]]:
        found: dict[str, Latest] = {}
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def on_answer(message: Msg) -> None:
            head = message.headers or {}
            if "Nats-Sequence" in head:
                gone = head.get("KV-Operation") in ("DEL", "PURGE")
                found[head["Nats-Subject"]] = Latest(
                    int(head["Nats-Sequence"]), None if gone else message.data
                )
            elif not done.done():
                self._end(done, head)

        reply = self._inbox.expect(on_answer)
        try:
            wanted = msgspec.json.encode({"multi_last": [self._witness, *subjects]})
            await self._client.publish(f"$JS.API.DIRECT.GET.{self._stream}", wanted, reply=reply)
            up_to = await done
        finally:
            self._inbox.forget(reply)
        if found.pop(self._witness, None) is None:
            raise BrokerUnavailable(f"{self._stream}: the answer is not whole")
        return up_to, found

    def _end(self, done: "asyncio.Future[int]", head: Mapping[str, str]) -> None:
        """Only 204 with nothing pending ends a whole answer; 404 means that even the witness is gone."""
        status = head.get("Status", "")
        if status == "204" and head.get("Nats-Num-Pending", "0") == "0":
            done.set_result(int(head.get("Nats-UpTo-Sequence", "0")))
        else:
            why = f"{status} {head.get('Description', '')}".strip()
            done.set_exception(BrokerUnavailable(f"{self._stream}: the broker did not read: {why}"))
