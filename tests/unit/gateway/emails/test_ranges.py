"""Which part of a file a Range header asks for."""

import pytest

from services.gateway.emails import ranges
from services.gateway.errors import ApiError


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-0", (0, 1)), ("bytes=0-", (0, 10)), ("bytes=3-5", (3, 6)), ("bytes=3-99", (3, 10)),
        ("bytes=-3", (7, 10)), ("bytes=-99", (0, 10)), ("Bytes= 9-9", (9, 10)),
    ],
)  # fmt: skip
def test_one_range_is_given(header: str, part: tuple[int, int]) -> None:
    assert ranges.asked(header, 10) == (*part, 10)


@pytest.mark.parametrize(
    "header", [None, "", "bytes=", "bytes=-", "bytes=5-3", "bytes=0-1,3-4", "lines=1-2", "bytes=a-b"]
)
def test_everything_else_gets_the_whole_file(header: str | None) -> None:
    assert ranges.asked(header, 10) is None


@pytest.mark.parametrize(
    ("header", "size"),
    [("bytes=10-", 10), ("bytes=99-", 10), ("bytes=99-100", 10), ("bytes=-0", 10), ("bytes=0-", 0)],
)
def test_a_range_outside_of_the_file_is_refused_with_its_size(header: str, size: int) -> None:
    with pytest.raises(ApiError) as error:
        ranges.asked(header, size)
    assert error.value.status == 416
    assert error.value.headers["Content-Range"] == f"bytes */{size}"
