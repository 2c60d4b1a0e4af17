"""Owns the shapes of /tracking and /events: what may be asked for, and what is told."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from services.gateway.tracking import periods

Tag: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
_EXAMPLE: Any = {"examples": ["2030-01-31T08:00:00Z"]}
Time: TypeAlias = Annotated[str, Meta(max_length=64, extra_json_schema=_EXAMPLE)]


class StatsQuery(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}
):
    """What is counted: from `from` (30 days before `to`) until before `to` (now), both by quarter hours."""

    from_: Time | None = None
    to: Time | None = None
    interval: periods.Interval = "day"
    timezone: Annotated[str, Meta(max_length=64, extra_json_schema={"examples": ["Europe/Berlin"]})] = "UTC"
    tag: Tag | None = None
    smtp_account_id: str | None = None


class ExportQuery(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}
):
    """Which signals are exported, and how; several types are separated by commas."""

    format: Literal["ndjson", "csv"] = "ndjson"
    from_: Time | None = None
    to: Time | None = None
    type: str | None = None
    tag: Tag | None = None
    smtp_account_id: str | None = None


class EventsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the feed goes on (`meta.next_cursor` of the page before), and which types are wanted, by commas."""

    after: Annotated[str, Meta(max_length=200)] | None = None
    types: Annotated[str, Meta(max_length=2000)] | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """The first four count emails, the others what was reported, replied, opened and clicked, each time."""

    accepted: int = 0
    sent: int = 0
    failed: int = 0
    suppressed: int = 0
    delivered: int = 0
    delayed: int = 0
    bounced: int = 0
    hard_bounced: int = 0
    soft_bounced: int = 0
    opened: int = 0
    clicked: int = 0
    read: int = 0
    replied: int = 0
    auto_replied: int = 0
    complained: int = 0
    unsubscribed: int = 0
    machine_opened: int = 0
    machine_clicked: int = 0


class Unique(msgspec.Struct, frozen=True, kw_only=True):
    """Emails to which it happened at all, each counted when it happened first; by people only."""

    delivered: int = 0
    bounced: int = 0
    opened: int = 0
    clicked: int = 0
    read: int = 0
    replied: int = 0
    complained: int = 0
    unsubscribed: int = 0


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Unique counts as parts of `totals.sent`, `click_to_open` of `unique.opened`; null where that is 0 or less than the part."""

    delivery: float | None
    bounce: float | None
    open: float | None
    click: float | None
    click_to_open: float | None
    read: float | None
    reply: float | None
    complaint: float | None
    unsubscribe: float | None


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One interval of the series, by the moment it begins."""

    at: datetime
    totals: Totals
    unique: Unique


class Stats(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """The whole period, and each interval of it."""

    from_: datetime
    to: datetime
    interval: periods.Interval
    timezone: str
    totals: Totals
    unique: Unique
    rates: Rates
    series: list[Point]


class StatsMeta(msgspec.Struct, frozen=True):
    """Up to which moment the numbers are complete."""

    projected_at: datetime


class FeedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as the log has it, without content: `data` is its payload, `event_type` its CloudEvents type."""

    id: str
    type: str
    event_type: str
    email_id: str
    occurred_at: datetime
    causation: str | None
    data: Annotated[Any, Meta(extra_json_schema={"type": "object"})]


class FeedMeta(msgspec.Struct, frozen=True):
    """`next_cursor` goes on after this page, also when there is nothing more yet (`has_more` false)."""

    next_cursor: str
    has_more: bool
    projected_at: datetime
