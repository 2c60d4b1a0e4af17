"""Owns the route table: one entry says everything about a route, and everything follows from it.

Matching, permission, validation, OpenAPI and docs read the same entry, so none of them can say what
another does not.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import msgspec

from services.gateway.errors import METHOD_NOT_ALLOWED, NOT_FOUND, ApiError
from services.gateway.request import Handler

PREFIX: Final = "/api/v1"


@dataclass(frozen=True, kw_only=True)
class Route:
    """One thing a client can do.

    `path` is below /api/v1; each `{name}` in it is a UUID, `{email}` an address. `body` and `query` are msgspec structs; the frame
    decodes them into `request.data` and `request.query` with every problem listed, unless `decode` is off:
    then the handler gets `request.body` alone (limits and content type are checked all the same) and `body`
    is only documentation. A route with a `form` has a handler that reads `request.incoming` by itself, as
    multipart; the struct documents its text parts. In a query struct, a field that is a list or tuple may be repeated in the URL.
    With `upload` it reads a file of that content type. `also` is a second status of success.
    `data` and `meta` are the types of the reply; a route that `produces` a content type (or one of several) replies with a
    `Download` of it instead, and its `data` is bytes. `errors` are codes beyond those that follow from the rest.
    """

    method: str
    path: str
    permission: str
    summary: str
    handler: Handler
    data: Any
    meta: Any = None
    produces: str | tuple[str, ...] | None = None
    status: int = 200
    also: int | None = None
    body: Any = None
    form: Any = None
    upload: str | None = None
    query: Any = None
    decode: bool = True
    errors: tuple[str, ...] = ()
    idempotency_key: bool = False
    description: str = ""
    tag: str = ""

    @property
    def full_path(self) -> str:
        """The path as a client writes it."""
        return PREFIX + self.path

    @cached_property
    def name(self) -> str:
        """The route in logs and metrics."""
        return f"{self.method} {self.path}"

    @cached_property
    def may_be_empty(self) -> bool:
        """Whether no body says the same as `{}`: an action that takes wishes and needs none."""
        if self.method != "POST" or self.body is None or not self.decode:
            return False
        return not any(field.required for field in msgspec.structs.fields(self.body))

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The names of the path's parameters."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))


@dataclass(slots=True)
class _Node:
    """One segment of the paths: what may stand below it, and what may be done here."""

    below: dict[str, "_Node"] = field(default_factory=dict)
    any_id: "_Node | None" = None
    methods: dict[str, Route] = field(default_factory=dict)


class Table:
    """All routes, found by method and path."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes: Final = tuple(routes)
        self._fixed: dict[str, _Node] = {}
        self._root = _Node()
        for route in self.routes:
            self._add(route)

    def match(self, method: str, path: str) -> tuple[Route, list[str]]:
        """Return the route and the values of its ids, in order, unchecked.

        Raises: ApiError (NOT_FOUND, METHOD_NOT_ALLOWED with `Allow`).
        """
        values: list[str] = []
        node = self._fixed.get(path) or self._walk(path, values)
        if node is None or not node.methods:
            raise ApiError(NOT_FOUND, "there is nothing at this path; see /docs")
        route = node.methods.get(method)
        if route is None:
            allowed = ", ".join(sorted(node.methods))
            raise ApiError(METHOD_NOT_ALLOWED, f"this path answers {allowed}", headers={"Allow": allowed})
        return route, values

    def _add(self, route: Route) -> None:
        node = self._root
        for part in route.full_path.split("/"):
            if part.startswith("{"):
                node.any_id = node.any_id or _Node()
                node = node.any_id
            else:
                node = node.below.setdefault(part, _Node())
        assert route.method not in node.methods, f"{route.method} {route.path} is there twice"
        node.methods[route.method] = route
        if route.method == "GET":
            node.methods["HEAD"] = route
        if not route.ids:
            self._fixed[route.full_path] = node

    def _walk(self, path: str, values: list[str]) -> _Node | None:
        node = self._root
        for part in path.split("/"):
            named = node.below.get(part)
            if named is None:
                if node.any_id is None or not part:
                    return None
                values.append(part)
                named = node.any_id
            node = named
        return node
