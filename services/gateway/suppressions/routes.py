"""The routes of /suppressions: their shapes, permissions and codes."""

from typing import Final

from services.gateway.emails import index as emails
from services.gateway.routing import Route
from services.gateway.suppressions import fields, files, handlers, imports

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
        also=200,
        tag=_TAG,
    ),
    Route(
        method="GET",
        path="/suppressions",
        permission=_READ,
        summary="List suppressions",
        description="Newest first; `projected_at` says up to which moment the list is complete. `email` is a whole "
        "address, or a part of one; `q` is looked for in details, too. Three letters or more are found at once.",
        handler=handlers.list_,
        query=fields.Query,
        data=list[fields.Suppression],
        meta=emails.Meta,
        tag=_TAG,
    ),
    Route(
        method="POST",
        path="/suppressions/import",
        permission=_WRITE,
        summary="Import suppressions from a CSV file",
        description="The body is the file, in UTF-8, at most 256 MiB: email, reason, detail, created_at, in this order "
        "or as a header names them; all but the email may be left out. Answered when the file is received; "
        "`GET /suppressions/imports/{id}` tells how far it is. What is on the list already stays as it is, "
        "so a file may be imported again.",
        handler=files.start,
        upload=files.CSV,
        query=fields.ImportQuery,
        data=imports.Import,
        status=202,
        tag=_TAG,
    ),
    Route(
        method="GET",
        path="/suppressions/imports/{id}",
        permission=_READ,
        summary="Read how far an import is",
        description="Kept for a week. `interrupted` means that the process has ended: import the file again.",
        handler=files.progress,
        data=imports.Import,
        tag=_TAG,
    ),
    Route(
        method="GET",
        path="/suppressions/export",
        permission=_READ,
        summary="Export all suppressions as CSV",
        description="Newest first, without a limit. An apostrophe stands before cells that a spreadsheet would "
        "compute; the import takes it off again.",
        handler=files.export,
        query=fields.ExportQuery,
        produces=files.CSV,
        data=bytes,
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
