"""What hits are about: emails as the log knows them, many by one question, else as the projection does.

Only what can no longer change is remembered; an email that was not yet sent is asked for again.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Sequence
from typing import Final, TypeAlias

import msgspec
import nats
import structlog
from nats.aio.msg import Msg

from services.tracker.archive import Archive
from services.tracker.judging import Known, known
from shared.events import fold, record
from shared.runtime import postgres, topology
from shared.runtime.log import BrokerUnavailable, Log, end_page

logger = structlog.get_logger(__name__)
Key: TypeAlias = tuple[str, str]  # workspace and email
MOST: Final = 50_000
# One email has as many subjects as there are kinds of events, and an answer holds 1024 messages at most.
AT_ONCE: Final = 32
WITHIN: Final = 5.0


class Emails:
    """Answers for emails; one that is erased is None, one that nobody can be asked about now is not there."""

    def __init__(self, log: Log, archive: Archive) -> None:
        self._log, self._archive = log, archive
        self._known: OrderedDict[Key, Known] = OrderedDict()

    async def find(self, keys: Collection[Key]) -> dict[Key, Known | None]:
        """Return what is known of these emails. Raises: BrokerUnavailable."""
        found: dict[Key, Known | None] = {}
        missing = []
        for key in keys:
            remembered = self._known.get(key)
            if remembered is None:
                missing.append(key)
            else:
                self._known.move_to_end(key)
                found[key] = remembered
        for start in range(0, len(missing), AT_ONCE):
            for key, value in (await self._ask(missing[start : start + AT_ONCE])).items():
                found[key] = value
                if value is not None and value.is_final:
                    self._known[key] = value
        while len(self._known) > MOST:
            self._known.popitem(last=False)
        return found

    async def _ask(self, keys: Sequence[Key]) -> dict[Key, Known | None]:
        states = await self._states(keys)
        found: dict[Key, Known | None] = {}
        for key in keys:
            email = known(states[key])
            if email is not None and email.sent_at is None:
                # Of repeated deferrals only the last was asked for; a 250 or a lost answer may stand in one before.
                email = known(fold.fold(await self._log.history(*key)))
            if email is None:
                try:
                    email = await self._archived(key)
                except postgres.UNAVAILABLE as error:
                    logger.warning("archive_unavailable", email_id=key[1], error=repr(error))
                    continue
            found[key] = email
        return found

    async def _archived(self, key: Key) -> Known | None:
        state = await self._archive.state(*key)
        email = known(state) if state is not None else None
        # The log lets go of nothing that is under way.
        return None if email is None else msgspec.structs.replace(email, is_under_way=False)

    async def _states(self, keys: Sequence[Key]) -> dict[Key, fold.State]:
        if self._log.replicas > 1:  # a replica may lag, and what it does not have yet would look erased
            return {key: fold.fold(await self._log.history(*key)) for key in keys}
        states = {key: fold.State() for key in keys}
        try:
            async with asyncio.timeout(WITHIN):
                messages = await self._newest(keys)
        except (TimeoutError, nats.errors.Error, OSError) as error:
            raise BrokerUnavailable(f"the log could not be read: {error!r}") from error
        for message in messages:
            _apply(states, message)
        return states

    async def _newest(self, keys: Sequence[Key]) -> list[Msg]:
        """Return the newest record of each kind of each email."""
        messages: list[Msg] = []
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def on_answer(message: Msg) -> None:
            head = message.headers or {}
            if "Nats-Sequence" in head:
                messages.append(message)
            elif not done.done():
                end_page(done, head)

        reply = self._log.inbox.expect(on_answer)
        try:
            wanted = msgspec.json.encode({"multi_last": [record.history_subject(*key) for key in keys]})
            await self._log.client.publish(f"$JS.API.DIRECT.GET.{topology.LOG}", wanted, reply=reply)
            if await done:
                raise BrokerUnavailable("the answer is not whole")
        finally:
            self._log.inbox.forget(reply)
        return messages


def _apply(states: dict[Key, fold.State], message: Msg) -> None:
    head = message.headers or {}
    subject = head["Nats-Subject"]
    _, workspace, email_id, *_ = subject.split(".")
    state = states.get((workspace, email_id))
    try:
        item = record.decode(subject, head, message.data, int(head["Nats-Sequence"]))
    except (record.UnknownEvent, record.Undecodable):  # it says nothing of who was sent to, or when
        return
    if state is not None:
        fold.apply(state, item.event, item.event_id, item.sequence)
