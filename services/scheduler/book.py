"""The book: rows brought up to date with records, the same way whoever found the record.

Missing rows are inserted without overwriting, then locked and decided on again, so two schedulers
that meet the same email for the first time agree.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from services.scheduler import absorbing, decisions
from services.scheduler.agenda import Agenda
from services.scheduler.row import RELEASED, WAITING, Key, Row
from services.scheduler.store import Transaction
from shared.events.record import Record


class Change(NamedTuple):
    """A row before (None: there was none) and after."""

    old: Row | None
    new: Row


class Absorbed(NamedTuple):
    """What changed, and of which emails the records have to be read first."""

    changes: list[Change]
    lacking: list[Key]


async def absorb(tx: Transaction, items: Mapping[Key, Sequence[Record]], *, whole: bool = False) -> Absorbed:
    """Bring rows up to date with records of their emails, each in log order.

    `whole`: they are all the log has of each email. Raises: store.UNAVAILABLE, store.UNACCEPTABLE.
    """
    done = Absorbed([], [])
    left = dict(items)
    while left:
        rows = await tx.lock(left)
        changes = _decide(rows, left, done.lacking, whole=whole)
        fresh = {change.new.key: change.new for change in changes if change.old is None}
        changed = [(old, new) for old, new in changes if old is not None]
        await tx.update([new for _, new in changed if new.state == WAITING])
        await tx.end_waits((old, new) for old, new in changed if new.state != WAITING)
        inserted = await tx.insert(list(fresh.values()))
        done.changes.extend(Change(old, new) for old, new in changed)
        done.changes.extend(Change(None, fresh[key]) for key in inserted)
        left = {key: left[key] for key in fresh if key not in inserted}
    return done


async def absorb_ours(tx: Transaction, rows: Mapping[Key, Row], items: Mapping[Key, Record]) -> list[Change]:
    """Bring fetched rows up to date with what was just said of them; as `absorb`, but in one step.

    A row that has changed since it was fetched is locked and decided on again.
    """
    new = {key: row for key, item in items.items() if (row := absorbing.absorb(rows[key], item))}
    written = await tx.end_waits((rows[key], row) for key, row in new.items())
    left = {key: [items[key]] for key in new if key.email_id not in written}
    again = (await absorb(tx, left)).changes if left else []
    return [*(Change(rows[key], row) for key, row in new.items() if key not in left), *again]


def _decide(
    rows: Mapping[Key, Row], items: Mapping[Key, Sequence[Record]], lacking: list[Key], *, whole: bool
) -> list[Change]:
    changes = []
    for key, records in items.items():
        row = rows.get(key)
        if whole:
            new = absorbing.after_reading(row, records)
        elif decisions.is_noise(row, records):
            continue
        elif decisions.lacks_history(row, records):
            lacking.append(key)
            continue
        else:
            new = absorbing.absorb_all(row, records)
        if new is not None and new != row:
            changes.append(Change(row, new))
    return changes


def tell(agenda: Agenda, changes: Iterable[Change]) -> None:
    """Put on the agenda what follows from committed changes: new due times, and credit that came back."""
    for old, new in changes:
        if old is not None and new.state != RELEASED:
            agenda.free(old.lane)
        if new.state == WAITING:
            agenda.touch(new.lane, new.due_at)
