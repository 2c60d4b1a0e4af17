"""Owns the shapes of /suppressions."""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from services.gateway import paging
from shared.runtime.suppressions import Cause, Entry

MAX_DETAIL = 500
Email: TypeAlias = Annotated[str, Meta(min_length=3, max_length=320)]
Detail: TypeAlias = Annotated[str, Meta(max_length=MAX_DETAIL)]
Search: TypeAlias = Annotated[str, Meta(min_length=1, max_length=320)]


class NewSuppression(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An address nothing is to be sent to."""

    email: Email
    reason: Cause = "manual"
    detail: Detail | None = None


class SuppressionChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change; what is absent stays."""

    reason: Cause | UnsetType = UNSET
    detail: Detail | UnsetType | None = UNSET


class Suppression(msgspec.Struct, frozen=True, kw_only=True):
    """Why nothing is sent to an address; `email` is null once the address was erased."""

    email: str | None
    reason: Cause
    detail: str | None
    created_at: datetime


class Query(paging.Query, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which suppressions are wanted: `email` is a whole address in any spelling, or a part of one; `q` is looked
    for in address and detail.
    """

    email: Search | None = None
    q: Search | None = None
    reason: Cause | None = None


class ExportQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which suppressions are exported, and how."""

    format: Literal["csv"] = "csv"
    reason: Cause | None = None


class ImportQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The reason of those records that give none."""

    reason: Cause = "manual"


def shown(entry: Entry) -> Suppression:
    """Return an entry as a client sees it."""
    return Suppression(
        email=entry.email, reason=entry.reason, detail=entry.detail, created_at=entry.created_at
    )
