"""Settling rows whose time has come: say what is due, then bring the table up to date with it.

Nothing is written that was not said, and what was said but not written is found again by its guard.
One email that cannot be spoken of never holds up its neighbours.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import structlog

from services.scheduler import book, metrics, store
from services.scheduler.book import Change
from services.scheduler.row import Key, Lane, Row
from services.scheduler.speaking import Said, Voice
from services.scheduler.store import Transaction
from shared.events import schedule
from shared.runtime.log import BrokerUnavailable
from shared.runtime.publisher import Unconfirmed

logger = structlog.get_logger(__name__)
POSTPONED_BY: Final = timedelta(minutes=5)


class Settled(NamedTuple):
    """What changed, how many of each lane were released, and where the broker did not answer."""

    changes: list[Change]
    released: dict[Lane, int]
    unsaid: set[Lane]


async def settle(tx: Transaction, voice: Voice, fetched: Sequence[Any], now: datetime) -> Settled:
    """Release or expire these rows, write it down, and postpone those that cannot be spoken of."""
    rows = [store.as_row(values) for values in fetched]
    answers = await asyncio.gather(*(voice.speak(row, now) for row in rows), return_exceptions=True)
    said: dict[Key, Said] = {}
    unsaid: set[Lane] = set()
    stuck: list[Row] = []
    for row, answer in zip(rows, answers, strict=True):
        if isinstance(answer, Said):
            said[row.key] = answer
            if row.payload is None and not _spoke(answer):
                stuck.append(row)
        elif isinstance(answer, Unconfirmed | BrokerUnavailable):
            unsaid.add(row.lane)
        elif isinstance(answer, Exception):
            logger.error("cannot_be_said", email_id=row.email_id, problem=repr(answer))
            stuck.append(row)
        else:
            raise answer
    await _postpone(tx, stuck, now)
    known = {row.key: row for row in rows}
    return Settled(await _write(tx, known, said), _count_released(known, said), unsaid)


def _spoke(answer: Said) -> bool:
    return bool(answer.records) and answer.records[-1].event.voice == schedule.Released.voice


async def _write(tx: Transaction, rows: Mapping[Key, Row], said: Mapping[Key, Said]) -> list[Change]:
    ours = {key: answer.records[0] for key, answer in said.items() if answer.records and not answer.whole}
    read = {key: answer.records for key, answer in said.items() if answer.whole}
    changes = await book.absorb_ours(tx, rows, ours)
    if read:
        changes += (await book.absorb(tx, read, whole=True)).changes
    return changes


async def _postpone(tx: Transaction, stuck: Sequence[Row], now: datetime) -> None:
    if stuck:
        metrics.POSTPONED.inc(len(stuck))
        await tx.postpone(stuck, now + POSTPONED_BY)


def _count_released(rows: Mapping[Key, Row], said: Mapping[Key, Said]) -> dict[Lane, int]:
    counts: dict[Lane, int] = {}
    for key, answer in said.items():
        if answer.records and isinstance(answer.records[-1].event, schedule.Released):
            lane = rows[key].lane
            counts[lane] = counts.get(lane, 0) + 1
    return counts
