"""Pages of lists that fit into memory."""

import pytest

from services.gateway import paging
from services.gateway.errors import ApiError

ITEMS = [f"{number:02}" for number in range(45)]


def cut(**query: object) -> tuple[list[str], paging.Meta]:
    return paging.cut(ITEMS, paging.Query(**query), str)  # type: ignore[arg-type]


def test_pages_add_up_to_the_list() -> None:
    pages = [cut(page=page) for page in (1, 2, 3, 4)]
    assert [item for page, _ in pages for item in page] == ITEMS
    assert pages[2][1] == paging.Meta(3, 20, 45, 3, None)
    assert pages[3][0] == []


def test_cursors_lead_through_the_list() -> None:
    found, meta = cut(per_page=10)
    while meta.next_cursor:
        page, meta = cut(per_page=10, cursor=meta.next_cursor)
        found += page
    assert found == ITEMS


def test_a_cursor_stays_put_when_the_list_grows_before_it() -> None:
    _, meta = cut(per_page=10)
    page, _ = paging.cut(["0", "00", *ITEMS], paging.Query(per_page=10, cursor=meta.next_cursor), str)
    assert page[0] == "10"


@pytest.mark.parametrize("cursor", ["x", "!", "_w", "é"])
def test_a_cursor_of_somebody_else_is_refused(cursor: str) -> None:
    with pytest.raises(ApiError):
        cut(cursor=cursor)
