"""The routes of /accounts: their shapes, permissions and codes."""

from typing import Final

from services.gateway import errors, paging
from services.gateway.accounts import fields, handlers
from services.gateway.routing import Route

_READ: Final = "accounts.read"
_WRITE: Final = "accounts.write"
_TAG: Final = "Accounts"

ROUTES: Final = (
    Route(
        method="POST",
        path="/accounts",
        permission=_WRITE,
        summary="Open an SMTP account",
        description="The workspace's first account becomes its default; `default: true` makes this one it. "
        "`dkim` of an identity has a key made for its domain; `record_name` and `record_value` are for your DNS.",
        handler=handlers.create,
        body=fields.NewAccount,
        data=fields.AccountShown,
        status=201,
        tag=_TAG,
    ),
    Route(
        method="GET",
        path="/accounts",
        permission=_READ,
        summary="List SMTP accounts",
        handler=handlers.list_,
        query=paging.Query,
        data=list[fields.AccountShown],
        meta=paging.Meta,
        tag=_TAG,
    ),
    Route(
        method="GET",
        path="/accounts/{id}",
        permission=_READ,
        summary="Read one SMTP account",
        handler=handlers.show,
        data=fields.AccountShown,
        tag=_TAG,
    ),
    Route(
        method="PATCH",
        path="/accounts/{id}",
        permission=_WRITE,
        summary="Change an SMTP account",
        description="What is absent stays, also inside `limits`, `tracking` and `imap` (null unlinks the mailbox); "
        "`identities` are replaced, "
        "each keeping its `dkim` unless it says another.",
        handler=handlers.change,
        body=fields.AccountChange,
        data=fields.AccountShown,
        tag=_TAG,
    ),
    Route(
        method="DELETE",
        path="/accounts/{id}",
        permission=_WRITE,
        summary="Remove an SMTP account",
        description="Answers with the account as it was. Mail that waits for it is deferred until its deadline.",
        handler=handlers.remove,
        data=fields.AccountShown,
        tag=_TAG,
    ),
    Route(
        method="POST",
        path="/accounts/{id}/verify",
        permission=_WRITE,
        summary="Connect to the account's server for real",
        description="Reports step by step and capability by capability what was found, and what DNS shows of "
        "each DKIM key; the same of the linked mailbox under `imap`. A DKIM key that waits and is in DNS signs from "
        "then on.",
        handler=handlers.verify,
        data=fields.Verified,
        tag=_TAG,
    ),
    Route(
        method="POST",
        path="/accounts/{id}/rotate-dkim",
        permission=_WRITE,
        summary="Make new DKIM keys, to take the old ones' places",
        description="They wait beside the old ones, which sign until `verify` sees the new ones' records in DNS. "
        "409 when the account has no keys; a key beside which one waits gets no other.",
        handler=handlers.rotate_dkim,
        data=fields.AccountShown,
        errors=(errors.CONFLICT,),
        tag=_TAG,
    ),
)
