"""The routes of /keys: their shapes, permissions and codes."""

from typing import Final

from services.gateway import paging
from services.gateway.keys import fields, handlers
from services.gateway.routing import Route

_READ: Final = "keys.read"
_WRITE: Final = "keys.write"
_TAG: Final = "Keys"

ROUTES: Final = (
    Route(
        method="POST",
        path="/keys",
        permission=_WRITE,
        summary="Make an API key",
        description="Its token is shown once, as `key`. It can be granted no permission its maker lacks.",
        handler=handlers.create,
        body=fields.NewKey,
        data=fields.KeyMade,
        status=201,
        tag=_TAG,
    ),
    Route(
        method="GET",
        path="/keys",
        permission=_READ,
        summary="List API keys",
        handler=handlers.list_,
        query=paging.Query,
        data=list[fields.KeyShown],
        meta=paging.Meta,
        tag=_TAG,
    ),
    Route(
        method="GET",
        path="/keys/{id}",
        permission=_READ,
        summary="Read one API key",
        handler=handlers.show,
        data=fields.KeyShown,
        tag=_TAG,
    ),
    Route(
        method="PATCH",
        path="/keys/{id}",
        permission=_WRITE,
        summary="Change an API key",
        description="Answered when every replica judges by the change.",
        handler=handlers.change,
        body=fields.KeyChange,
        data=fields.KeyShown,
        tag=_TAG,
    ),
    Route(
        method="DELETE",
        path="/keys/{id}",
        permission=_WRITE,
        summary="Revoke an API key",
        description="Answers with the key as it was, when no replica accepts it any more.",
        handler=handlers.remove,
        data=fields.KeyShown,
        tag=_TAG,
    ),
)
