"""The routes of /suppressions: their shapes, permissions and codes."""

from typing import Final

from services.gateway.emails import index as emails
from services.gateway.routing import Route
from services.gateway.suppressions import fields, handlers

_READ: Final = "suppressions.read"
_WRITE: Final = "suppressions.write"
_TAG: Final = "Suppressions"

ROUTES: Final = (
    Route(
        method="POST",
        path="/suppressions",
        permission=_WRITE,
        summary="Suppress an address",
        description="In force when answered: nothing is sent to it from then on, whatever was accepted before. "
        "An address that is suppressed already stays as it is, and the answer is 200.",
        handler=handlers.create,
        body=fields.NewSuppression,
        data=fields.Suppression,
        status=201,
        tag=_TAG,
    ),
    Route(
        method="GET",
        path="/suppressions",
        permission=_READ,
        summary="List suppressions",
        description="Newest first; `projected_at` says up to which moment the list is complete.",
        handler=handlers.list_,
        query=fields.Query,
        data=list[fields.Suppression],
        meta=emails.Meta,
        tag=_TAG,
    ),
    Route(
        method="GET",
        path="/suppressions/{email}",
        permission=_READ,
        summary="Read one suppression",
        description="By the address in any spelling; as it is in force.",
        handler=handlers.show,
        data=fields.Suppression,
        tag=_TAG,
    ),
    Route(
        method="PATCH",
        path="/suppressions/{email}",
        permission=_WRITE,
        summary="Change the reason or the detail of a suppression",
        handler=handlers.change,
        body=fields.SuppressionChange,
        data=fields.Suppression,
        tag=_TAG,
    ),
    Route(
        method="DELETE",
        path="/suppressions/{email}",
        permission=_WRITE,
        summary="Take an address off the list",
        description="Answers with the suppression as it was; from then on the address is written to again.",
        handler=handlers.remove,
        data=fields.Suppression,
        tag=_TAG,
    ),
)
