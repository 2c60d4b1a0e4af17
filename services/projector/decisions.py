"""How much of the log may go. Pure.

A record goes only when it is archived, when every internal consumer has acknowledged it, and when it is outside
the hot window; a log that fills up takes no notice of the window, and of nothing else.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

FULL: Final = 0.70


class Reader(NamedTuple):
    """A consumer: all up to `acked` is acknowledged; then what waits for delivery and what for its ack."""

    acked: int
    pending: int
    unacked: int

    @property
    def is_caught_up(self) -> bool:
        """Say whether it has nothing left to do: its ack floor is then only its own last record."""
        return not (self.pending or self.unacked)


class Stretch(NamedTuple):
    """How many emails began in a stretch of the log from `first` on, and when the last of them was seen."""

    first: int
    emails: int
    seen_at: datetime


def read_by_all(readers: Iterable[Reader], last: int) -> int:
    """Return the sequence up to which every consumer is done.

    `last` is the log's last sequence at a moment well before the consumers were asked: a consumer that is
    caught up has seen at least that.
    """
    return min(max(reader.acked, last) if reader.is_caught_up else reader.acked for reader in readers)


def window_begins(stretches: Sequence[Stretch], now: datetime, hot: timedelta, most: int) -> int:
    """Return the first sequence inside the hot window: the younger than `hot`, but at most `most` emails.

    Stretches are kept whole, in descending order; without any nothing is known to be outside: 0.
    """
    if not stretches:
        return 0
    emails, begins = 0, stretches[0].first
    for stretch in stretches:
        if emails >= most or stretch.seen_at < now - hot:
            break
        emails += stretch.emails
        begins = stretch.first
    return begins


def next_slice(first: int, read: int, begins: int, full: float, size: int) -> int | None:
    """Return the first sequence to keep after the next slice of trimming, or None when nothing may go.

    `read` is the last sequence that everybody has read; `begins` the first of the hot window.
    """
    end = read + 1 if full >= FULL else min(read + 1, begins)
    return min(first + size, end) if first < end else None
