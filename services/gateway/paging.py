"""Owns how lists that fit into memory are paged: by page number, or by a cursor that stays put while they grow."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Final, TypeVar

import msgspec

from services.gateway.errors import Problem, invalid

T = TypeVar("T")
PER_PAGE: Final = 20
MAX_PER_PAGE: Final = 100


class Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which part of a list is wanted; `cursor` (from `next_cursor`) wins over `page`."""

    page: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1
    per_page: Annotated[int, msgspec.Meta(ge=1, le=MAX_PER_PAGE)] = PER_PAGE
    cursor: Annotated[str, msgspec.Meta(max_length=200)] | None = None


class Meta(msgspec.Struct, frozen=True):
    """Where in the list this page is."""

    page: int
    per_page: int
    total: int
    total_pages: int
    next_cursor: str | None


def cut(items: Sequence[T], query: Query, place: Callable[[T], str]) -> tuple[list[T], Meta]:
    """Return the wanted page of `items`, which are sorted by `place` (unique). Pure.

    Raises: ApiError when the cursor is none of ours.
    """
    if query.cursor is not None:
        after = _opened(query.cursor)
        first = next((index for index, item in enumerate(items) if place(item) > after), len(items))
    else:
        first = (query.page - 1) * query.per_page
    page = list(items[first : first + query.per_page])
    more = first + query.per_page < len(items)
    return page, Meta(
        page=query.page if query.cursor is None else first // query.per_page + 1,
        per_page=query.per_page,
        total=len(items),
        total_pages=-(-len(items) // query.per_page),
        next_cursor=_closed(place(page[-1])) if page and more else None,
    )


def _closed(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _opened(cursor: str) -> str:
    try:
        padded = cursor.encode() + b"=" * (-len(cursor) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError):
        raise invalid(
            [Problem("$.cursor", "is not a cursor of ours; take it from meta.next_cursor")]
        ) from None
