"""Which route a method and a path lead to."""

import pytest

from services.gateway.errors import ApiError
from services.gateway.request import Reply, Request
from services.gateway.routing import Route, Table


async def nothing(_request: Request) -> Reply:
    return Reply(None)


def route(method: str, path: str) -> Route:
    return Route(method=method, path=path, permission="email.send", summary="", handler=nothing, data=None)


TABLE = Table(
    [
        route("POST", "/emails/send"),
        route("GET", "/emails"),
        route("GET", "/emails/{id}"),
        route("DELETE", "/emails/{id}"),
        route("GET", "/emails/{id}/attachments/{attachment}"),
    ]
)


def refusal(method: str, path: str) -> ApiError:
    with pytest.raises(ApiError) as refused:
        TABLE.match(method, path)
    return refused.value


def test_a_path_without_ids_is_found() -> None:
    assert TABLE.match("GET", "/api/v1/emails") == (TABLE.routes[1], [])


def test_ids_are_taken_out_in_order() -> None:
    found, values = TABLE.match("GET", "/api/v1/emails/1/attachments/2")
    assert (found, values) == (TABLE.routes[4], ["1", "2"])
    assert found.ids == ("id", "attachment")


def test_head_is_answered_where_get_is() -> None:
    assert TABLE.match("HEAD", "/api/v1/emails/1")[0] is TABLE.routes[2]


@pytest.mark.parametrize(
    "path",
    ["", "/", "*", "/emails", "/api/v1", "/api/v1/", "/api/v1/emails/", "/api/v1//emails", "/api/v2/emails",
     "/api/v1/emails/1/", "/api/v1/emails/1/x", "/api/v1/emails/1/attachments", "/api/v1/emails/send/x", "/API/v1/emails"],
)  # fmt: skip
def test_any_other_path_is_not_found(path: str) -> None:
    assert refusal("GET", path).code == "NOT_FOUND"


def test_a_wrong_method_is_told_the_right_ones() -> None:
    assert refusal("PUT", "/api/v1/emails/1").headers == {"Allow": "DELETE, GET, HEAD"}
    assert refusal("GET", "/api/v1/emails/send").headers == {"Allow": "POST"}
    assert refusal("OPTIONS", "/api/v1/emails").status == 405


def test_one_thing_cannot_be_in_the_table_twice() -> None:
    with pytest.raises(AssertionError, match="twice"):
        Table([route("GET", "/a/{id}"), route("GET", "/a/{other}")])
