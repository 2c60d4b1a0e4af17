"""The archive read back: an email's events as records, to be folded again."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog

from shared.events import record
from shared.runtime import postgres

logger = structlog.get_logger(__name__)
SQL: Final = postgres.statements(Path(__file__).with_name("archive.sql"))
Key = tuple[str, str]


class History(NamedTuple):
    """The archived events of some emails; `unreadable` has the emails of which some could not be read."""

    records: dict[Key, list[record.Record]]
    unreadable: set[Key]


async def read(connection: Any, keys: Sequence[Key]) -> History:
    """Return the archived events of these emails; what this version cannot read is left out and said."""
    history = History({key: [] for key in keys}, set())
    found = await connection.fetch(SQL["read"], *zip(*keys, strict=True))
    for place, event_id, kind, sequence, payload in found:
        key: Key = keys[place - 1]
        try:
            item = record.decode_archived(key[0], key[1], event_id, kind, payload, sequence)
        except (record.UnknownEvent, record.Undecodable) as error:
            logger.warning("archived_event_unreadable", email_id=key[1], error=str(error))
            history.unreadable.add(key)
            continue
        history.records[key].append(item)
    return history
