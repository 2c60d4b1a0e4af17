"""Owns the route table's shape: one entry says everything about a route, and everything follows from it.

Matching, permission, validation, OpenAPI and docs read the same entry, so none of them can say what
another does not.
"""

from dataclasses import dataclass
from typing import Any

from services.gateway.request import Handler

PREFIX = "/api/v1"


@dataclass(frozen=True, kw_only=True)
class Route:
    """One thing a client can do.

    `path` is below /api/v1; each `{name}` in it is a UUID. `body` and `query` are msgspec structs; the frame
    decodes them into `request.data` and `request.query` with every problem listed, unless `decode` is off:
    then the handler gets `request.body` alone (limits and content type are checked all the same) and `body`
    is only documentation. In a query struct, a field that is a list or tuple may be repeated in the URL.
    `data` and `meta` are the types of the reply; `errors` are codes beyond those that follow from the rest.
    """

    method: str
    path: str
    permission: str
    summary: str
    handler: Handler
    data: Any
    meta: Any = None
    status: int = 200
    body: Any = None
    query: Any = None
    decode: bool = True
    errors: tuple[str, ...] = ()
    idempotency_key: bool = False
    description: str = ""
    tag: str = ""
