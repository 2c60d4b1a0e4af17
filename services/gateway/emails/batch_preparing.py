"""What turns checked items into records: who sends each, where its content is kept, which ids they have.

Content that many items share is stored once. What is stored for a batch that is then not accepted is taken
out again, or left to the sweep of what no email refers to.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from services.gateway import errors
from services.gateway.emails import acceptance, attaching, batch_verdicts, submitting, unsubscribing
from services.gateway.emails.attachments import File
from services.gateway.emails.batch_checking import LOOKUP_WITHIN, Checked, Pace
from services.gateway.emails.batch_verdicts import Refusals
from services.gateway.emails.repeats import UNCONFIRMED, Claim
from services.gateway.errors import Problem
from services.gateway.request import Services
from shared.events import email, submission
from shared.events.base import EmailId, WorkspaceId
from shared.events.record import Record
from shared.runtime.configuration import Account

SHARED_FROM: Final = 1024 * 1024
STORES_AT_ONCE: Final = 8


class Batch(NamedTuple):
    """Whose batch it is: `about` names its first email, and has the hash that all of them carry."""

    about: Claim
    key: str | None
    size: int
    batch_id: str


class Granted(NamedTuple):
    """An item that will be accepted, and who sends it."""

    checked: Checked
    by: acceptance.Sender

    @property
    def number(self) -> int:
        """The item's place in the request."""
        return self.checked.item.number


class Ready(NamedTuple):
    """The records to append, and the ids of the accepted items by their places."""

    records: list[Record]
    ids: dict[int, EmailId]


async def granted(
    services: Services, workspace: str, checked: Sequence[Checked], shared: Sequence[Problem], now: datetime
) -> tuple[list[Granted], dict[int, Refusals]]:
    """Return the items that somebody may send, and why not the others; `shared` is wrong with their common files.

    Raises: ApiError 503.
    """
    accounts = await _accounts(services, workspace, checked)
    good: list[Granted] = []
    refused: dict[int, Refusals] = {}
    pace = Pace()
    for one in checked:
        if pace.is_over:
            await pace.rest()
        wrong = one.refused
        if shared and one.item.shares_files:
            wrong = wrong._replace(invalid=(*shared, *wrong.invalid))
        if one.made is None or wrong.invalid:
            refused[one.item.number] = wrong
            continue
        invalid = acceptance.time_problems(one.made, now, one.item.path)
        by = acceptance.sender(one.made, accounts[one.made.account_id], one.item.path)
        if not isinstance(by, Problem):
            invalid += unsubscribing.problems(one.made, by.account, services.tokens, one.item.path)
        if invalid or wrong.template or isinstance(by, Problem):
            account = (one.item.place(by),) if isinstance(by, Problem) else ()
            refused[one.item.number] = Refusals(tuple(map(one.item.place, invalid)), wrong.template, account)
        else:
            good.append(Granted(one, by))
    return good, refused


async def _accounts(
    services: Services, workspace: str, checked: Sequence[Checked]
) -> dict[str | None, Account | None]:
    """Return each account that items name; the broker is not waited for longer than a client would wait."""
    wanted = {one.made.account_id for one in checked if one.made is not None and not one.refused.invalid}
    try:
        async with asyncio.timeout(LOOKUP_WITHIN):
            return {name: await submitting.account_for(services, workspace, name) for name in wanted}
    except TimeoutError:
        raise errors.unavailable(UNCONFIRMED) from None


async def ready(
    services: Services,
    batch: Batch,
    good: Sequence[Granted],
    files: Sequence[File],
    rejected: tuple[email.Rejection, ...],
    now: datetime,
    traceparent: str | None,
) -> Ready:
    """Return the records of the accepted items, everything they refer to being stored.

    Raises: ApiError 503; no file is left then, nor when the time for it is over.
    """
    kept = await _stored(services, batch, good, files, now)
    try:
        return await _recorded(services, batch, good, kept, rejected, now, traceparent)
    except BaseException:
        await _drop(services, kept)
        raise


async def _recorded(
    services: Services,
    batch: Batch,
    good: Sequence[Granted],
    kept: Sequence[acceptance.Kept],
    rejected: tuple[email.Rejection, ...],
    now: datetime,
    traceparent: str | None,
) -> Ready:
    workspace, numbers = batch.about.workspace, [one.number for one in good]
    ids: dict[int, EmailId] = {}
    records: list[Record] = []
    pace = Pace()
    each_id = batch_verdicts.each_id(workspace, batch.key, numbers)
    for one, content, email_id in zip(good, kept, each_id, strict=True):
        place = acceptance.Place(
            batch.batch_id, email.Batch(batch.size, one.number, () if records else rejected)
        )
        ids[one.number] = email_id
        about = Claim(workspace, email_id, batch.about.request_hash)
        assert one.checked.made is not None
        event = submitting.accepted(services, about, one.checked.made, content, one.by, now, place)
        records.append(submitting.record_of(about, event, traceparent))
        if pace.is_over:
            await pace.rest()
    return Ready(records, ids)


async def drop(services: Services, records: Sequence[Record]) -> None:
    """Take out the files of a batch that is not accepted."""
    events = [item.event for item in records if isinstance(item.event, submission.Requested)]
    files = {file.key: file for event in events for file in event.email.attachments}
    await attaching.drop(services.content, list(files.values()))


async def _stored(
    services: Services, batch: Batch, good: Sequence[Granted], files: Sequence[File], now: datetime
) -> list[acceptance.Kept]:
    """Return each item's content as its record names it. Raises: ApiError 503; no file is left then."""
    workspace = batch.about.workspace
    bodies = await _stored_bodies(services, workspace, good, batch.batch_id, now)
    is_shared = any(one.checked.item.shares_files for one in good)
    shared = await attaching.store(services.content, workspace, files) if is_shared else ()
    kept: list[acceptance.Kept] = []
    pace = Pace()
    try:
        for one in good:
            if pace.is_over:
                await pace.rest()
            made = one.checked.made
            own = (
                await attaching.store(services.content, workspace, made.attachments)
                if made and made.attachments
                else ()
            )
            kept.append(
                acceptance.Kept(
                    bodies[id(one.checked.body)], shared if one.checked.item.shares_files else own
                )
            )
    except BaseException:
        await _drop(services, [acceptance.Kept(email.Body(), shared), *kept])
        raise
    return kept


async def _drop(services: Services, kept: Sequence[acceptance.Kept]) -> None:
    await attaching.drop(services.content, [file for content in kept for file in content.attachments])


async def _stored_bodies(
    services: Services, workspace: WorkspaceId, good: Sequence[Granted], batch_id: str, now: datetime
) -> Mapping[int, email.Body]:
    """Return each distinct body, by its identity, as records will have it. Raises: ApiError 503."""
    copies = Counter(id(one.checked.body) for one in good)
    bodies = {id(one.checked.body): one.checked.body for one in good if one.checked.body is not None}
    few = asyncio.Semaphore(STORES_AT_ONCE)

    async def store(body: email.Body) -> email.Body:
        async with few:
            key = acceptance.content_key(workspace, EmailId(batch_id), body.packed or b"", now)
            return await submitting.store_body(services, key, body)

    large = [place for place, body in bodies.items() if _is_stored(body, copies[place])]
    stored = await asyncio.gather(*(store(bodies[place]) for place in large))
    return bodies | dict(zip(large, stored, strict=True))


def _is_stored(body: email.Body, copies: int) -> bool:
    """Say whether a body is kept once, beside the log: it is large, or its copies are together."""
    if body.packed is None:
        return False
    return email.must_be_stored(body) or (copies > 1 and copies * len(body.packed) > SHARED_FROM)
