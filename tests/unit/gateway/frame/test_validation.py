"""Every problem of a request is told, with its path and in a client's words."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from services.gateway import validation
from services.gateway.errors import ApiError


class Part(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=2)]
    size: Annotated[int, Meta(ge=1, le=9)] = 1


class Whole(msgspec.Struct, forbid_unknown_fields=True):
    title: Annotated[str, Meta(pattern=r"\A[a-z]+\Z", description="small letters")]
    parts: Annotated[list[Part], Meta(min_length=1)]
    kind: Literal["a", "b"] = "a"
    at: Annotated[datetime, Meta(tz=True)] | None = None
    labels: dict[str, str] = {}
    one: Part | None = None


class Query(msgspec.Struct, forbid_unknown_fields=True):
    page: Annotated[int, Meta(ge=1)] = 1
    status: tuple[str, ...] = ()
    subject: str | None = None
    machine: bool | None = None


def problems(value: Any) -> dict[str, str]:
    with pytest.raises(ApiError) as refused:
        validation.convert(value, Whole)
    return {detail.path: detail.message for detail in refused.value.details}


def query_problems(**given: list[str]) -> dict[str, str]:
    with pytest.raises(ApiError) as refused:
        validation.query(given, Query)
    return {detail.path: detail.message for detail in refused.value.details}


def test_all_problems_are_listed_with_their_paths() -> None:
    assert problems(
        {
            "title": "A1",
            "parts": [{"name": "ok"}, {"name": "x", "size": 10, "junk": 1}, 7],
            "kind": "c",
            "at": "2026-01-01T00:00:00",
            "labels": {"x": 1},
            "one": {},
            "zzz": None,
        }
    ) == {
        "$.title": "must be small letters",
        "$.parts[1].name": "must be at least 2 characters long",
        "$.parts[1].size": "must be at most 9",
        "$.parts[1].junk": "is not a field of this request",
        "$.parts[2]": "must be an object, not an integer",
        "$.kind": "must be one of a, b",
        "$.at": "must be a time as RFC 3339 writes it, with an offset, such as 2030-01-31T08:00:00Z",
        "$.labels.x": "must be a string, not an integer",
        "$.one.name": "is required",
        "$.zzz": "is not a field of this request",
    }


def test_what_is_required_and_absent_is_named() -> None:
    assert problems({}) == {"$.title": "is required", "$.parts": "is required"}


def test_an_empty_list_is_too_short() -> None:
    assert problems({"title": "a", "parts": []}) == {"$.parts": "must be at least 1 items long"}


@pytest.mark.parametrize("value", [None, 1, "x", [], True])
def test_a_body_that_is_no_object_is_refused_at_the_root(value: Any) -> None:
    assert list(problems(value)) == ["$"]


def test_a_good_value_is_read() -> None:
    assert validation.convert({"title": "a", "parts": [{"name": "xy"}]}, Whole).parts == [Part("xy")]


def test_a_query_is_read_from_text() -> None:
    read = validation.query(
        {"page": ["3"], "status": ["sent", "failed"], "subject": ["12"], "machine": ["true"]}, Query
    )
    assert read == Query(3, ("sent", "failed"), "12", True)


def test_all_problems_of_a_query_are_listed() -> None:
    assert query_problems(
        page=["0"], subject=["a", "b"], machine=["yes"], nonsense=["1"], status=["x\0"]
    ) == {
        "$.page": "must be at least 1",
        "$.subject": "may be given once only",
        "$.machine": "must be true or false or null, not a string",
        "$.nonsense": "is not a parameter of this request",
        "$.status": "contains the character NUL",
    }


@pytest.mark.parametrize("page", ["", "x", "1.5", "0x1", "9" * 30, "١"])
def test_a_number_that_is_none_is_refused(page: str) -> None:
    assert list(query_problems(page=[page])) == ["$.page"]
