"""Taking hits from the journal into the log: held for two seconds, judged, appended, let go.

Held, because only then is it known whether the email was sent meanwhile and how many links were followed at
once. What the log cannot take stays in the journal and is tried again.
"""

import asyncio
import ipaddress
from collections import OrderedDict, deque
from datetime import UTC, datetime
from typing import Final, Literal

import structlog
from prometheus_client import Counter

from services.tracker import machine
from services.tracker.hit import Hit
from services.tracker.inbound import Archive
from services.tracker.journal import Journal
from shared.events import fold, signal
from shared.events.base import EmailId, EventId, WorkspaceId
from shared.events.email import Email
from shared.events.record import Record
from shared.runtime import postgres
from shared.runtime.log import BrokerUnavailable, Log
from shared.runtime.publisher import Publisher, Unconfirmed
from shared.runtime.suppressions import Suppressions

logger = structlog.get_logger(__name__)
HITS: Final = Counter("sendlog_hits_total", "Hits by kind and by who made them", ["kind", "by"])
HOLD: Final = 2.2
AT_ONCE: Final = 512
BACKLOG: Final = 4096
RETRY: Final = 1.0
KNOWN: Final = 50_000
Privacy = Literal["full", "anonymised", "none"]


class _Known:
    """What is remembered of an email: itself, and when it was sent, once it was."""

    __slots__ = ("email", "sent_at", "under_way")

    def __init__(self, email: Email | None, sent_at: datetime | None, under_way: bool) -> None:
        self.email, self.sent_at, self.under_way = email, sent_at, under_way


class Taker:
    """Turns hits into events."""

    def __init__(
        self,
        log: Log,
        publisher: Publisher,
        suppressions: Suppressions,
        archive: Archive,
        journal: Journal,
        networks: machine.Networks,
        privacy: Privacy,
    ) -> None:
        self._log, self._publisher, self._suppressions, self._archive = log, publisher, suppressions, archive
        self._journal, self._networks, self._privacy = journal, networks, privacy
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._clicks: dict[str, list[tuple[datetime, str]]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: deque[tuple[float, Hit]] = deque()
        self._wake = asyncio.Event()
        self._holding: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to let held hits go; call once in a running loop."""
        self._holding = asyncio.create_task(self._let_go_for_ever(), name="hold")

    def hold(self, hit: Hit) -> None:
        """Take an opening or a click in a while: only then is known what a verdict needs."""
        if hit.kind == "click":
            self._clicks.setdefault(hit.email_id, []).append((hit.at, hit.url))
        self._held.append((asyncio.get_running_loop().time() + HOLD, hit))
        self._wake.set()

    def take(self, hit: Hit) -> "asyncio.Task[None]":
        """Begin with a hit that the journal holds; the task ends when the log has it."""
        task = asyncio.create_task(self._take(hit))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def stop(self, within: float) -> None:
        """Take what waits without holding it any longer; what is not taken in time stays in the journal."""
        if self._holding is not None:
            self._holding.cancel()
            await asyncio.gather(self._holding, return_exceptions=True)
        while self._held:
            self.take(self._held.popleft()[1])
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=within)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _let_go_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._held:
                self._wake.clear()
                await self._wake.wait()
            await asyncio.sleep(max(0.0, self._held[0][0] - loop.time()))
            while self._held and self._held[0][0] <= loop.time() and len(self._tasks) < BACKLOG:
                self.take(self._held.popleft()[1])
            if len(self._tasks) >= BACKLOG:
                await asyncio.wait(list(self._tasks), return_when=asyncio.FIRST_COMPLETED)

    async def _take(self, hit: Hit) -> None:
        while True:
            try:
                async with self._slots:
                    await self._say(hit)
                break
            except (Unconfirmed, BrokerUnavailable, *postgres.UNAVAILABLE) as error:
                logger.warning("hit_waits", email_id=hit.email_id, error=str(error))
                await asyncio.sleep(RETRY)
        self._journal.let_go(hit)
        self._forget_click(hit)

    async def _say(self, hit: Hit) -> None:
        known = await self._email(hit)
        if known.email is None:
            HITS.labels(hit.kind, "nobody").inc()  # a valid token of an email that was erased
            return
        recipients = known.email.recipients()
        place = hit.place if hit.place is not None and hit.place < len(recipients) else None
        recipient = recipients[place][0] if place is not None else None
        if recipient is None and len(recipients) == 1:
            recipient = recipients[0][0]
        if hit.kind in ("one_click", "page") and recipient is not None:
            await self._suppressions.add(hit.workspace, recipient, "unsubscribe", f"by the link, {hit.kind}")
        event = self._event(hit, known, recipient)
        item = Record(WorkspaceId(hit.workspace), EmailId(hit.email_id), EventId(hit.event_id), event)
        await self._publisher.append(item, within=10.0)

    def _event(self, hit: Hit, known: _Known, recipient: str | None) -> signal.Signal:
        if hit.kind in ("one_click", "page"):
            HITS.labels(hit.kind, "person").inc()
            return signal.Unsubscribed(occurred_at=hit.at, recipient=recipient, via=hit.kind)
        reason = self._machine(hit, known)
        HITS.labels(hit.kind, "machine" if reason else "person").inc()
        address = shown_address(hit.ip_address, self._privacy)
        agent = hit.user_agent[:500] or None if self._privacy != "none" else None
        if hit.kind == "click":
            return signal.Clicked(
                occurred_at=hit.at,
                recipient=recipient,
                ip_address=address,
                user_agent=agent,
                machine=reason is not None,
                reason=reason,
                url=hit.url,
            )
        return signal.Opened(
            occurred_at=hit.at,
            recipient=recipient,
            ip_address=address,
            user_agent=agent,
            machine=reason is not None,
            reason=reason,
        )

    def _machine(self, hit: Hit, known: _Known) -> str | None:
        return (
            machine.by_request(hit.user_agent, hit.purpose)
            or machine.by_network(hit.ip_address, self._networks)
            or machine.by_time(hit.at, known.sent_at, known.under_way)
            or (
                machine.by_links(self._clicks.get(hit.email_id, ()), hit.at, hit.url)
                if hit.kind == "click"
                else None
            )
        )

    async def _email(self, hit: Hit) -> _Known:
        known = self._known.get(hit.email_id)
        if known is not None and known.sent_at is not None:
            self._known.move_to_end(hit.email_id)
            return known
        state = fold.fold(await self._log.history(hit.workspace, hit.email_id))
        if state.email is None:
            known = _Known(await self._archive.email(hit.workspace, hit.email_id), state.sent_at, False)
        else:
            known = _Known(state.email, state.sent_at, state.sent_at is None)
        self._known[hit.email_id] = known
        if len(self._known) > KNOWN:
            self._known.popitem(last=False)
        return known

    def _forget_click(self, hit: Hit) -> None:
        """Forget the clicks that no other can be compared with any more."""
        clicks = self._clicks.get(hit.email_id)
        if clicks is None:
            return
        now = datetime.now(UTC)
        recent = [(at, url) for at, url in clicks if now - at < 4 * machine.HASTE]
        if recent:
            self._clicks[hit.email_id] = recent
        else:
            del self._clicks[hit.email_id]


def shown_address(address: str, privacy: Privacy) -> str | None:
    """Return the address as it may be kept: as it is, without its last part, or not at all."""
    if privacy == "none" or not address:
        return None
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return None
    if privacy == "full":
        return str(ip)
    prefix = 24 if ip.version == 4 else 48
    return str(ipaddress.ip_network((ip, prefix), strict=False).network_address)
