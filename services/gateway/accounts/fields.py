"""Owns the shapes of /accounts as clients write and read them; secrets are in what they write only."""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from shared.events.email import Tracking
from shared.mail import dkim
from shared.runtime import signing
from shared.runtime.configuration import Account, DkimKey, Identity, Imap, Limits

Line: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=r"\A[^\x00-\x1f\x7f\x85\u2028\u2029]+\Z",
        description="one line without control characters",
    ),
]
Secret: TypeAlias = Annotated[
    str,
    Meta(min_length=1, max_length=16_384, pattern=r"\A[^\x00\r\n]+\Z", description="one line without NUL"),
]
Pem: TypeAlias = Annotated[str, Meta(min_length=1, max_length=65_536)]
Host: TypeAlias = Annotated[str, Meta(min_length=1, max_length=253)]
Port: TypeAlias = Annotated[int, Meta(ge=1, le=65_535)]
Tls: TypeAlias = Literal["implicit", "starttls", "none"]
Auth: TypeAlias = Literal["password", "xoauth2", "none"]
Ambiguity: TypeAlias = Literal["at_least_once", "at_most_once"]
Algorithm: TypeAlias = Literal["rsa", "ed25519"]
MailboxName: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=r"\A[\x20-\x7e]+\Z",
        description="as IMAP names it: ASCII, other letters in modified UTF-7",
    ),
]
ImapAuth: TypeAlias = Literal["password", "xoauth2"]
Dns: TypeAlias = Literal["ok", "missing", "different", "unreachable"]
Count: TypeAlias = Annotated[int, Meta(ge=1, le=1_000_000_000)]


class Sender(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An address the account may send from, the name shown beside it, and how its mail is signed.

    `dkim` names kinds of key, both for two signatures; absent, it stays as it was for this address.
    """

    address: Annotated[str, Meta(min_length=3, max_length=320)]
    name: Annotated[str, Meta(max_length=200)] = ""
    dkim: Annotated[list[Algorithm], Meta(max_length=2)] | UnsetType = UNSET


class Bounds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the server bears: connections at once, messages per window; null is no limit."""

    connections: Annotated[int, Meta(ge=1, le=1000)] | UnsetType = UNSET
    per_second: Count | UnsetType | None = UNSET
    per_minute: Count | UnsetType | None = UNSET
    per_hour: Count | UnsetType | None = UNSET
    per_day: Count | UnsetType | None = UNSET


class Signals(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is tracked of an email that does not say so itself."""

    opens: bool | UnsetType = UNSET
    clicks: bool | UnsetType = UNSET
    delivery: bool | UnsetType = UNSET
    read: bool | UnsetType = UNSET


class Mailbox(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The IMAP mailbox in which replies and reports arrive; what is absent stays, or has its default at first.

    `port` defaults to 993, or 143 without implicit TLS. The mailbox is only read: nothing is marked or moved.
    """

    host: Host | UnsetType = UNSET
    port: Port | UnsetType = UNSET
    tls: Tls | UnsetType = UNSET
    auth: ImapAuth | UnsetType = UNSET
    username: Line | UnsetType = UNSET
    password: Secret | UnsetType = UNSET
    secret: Secret | UnsetType = UNSET
    mailbox: MailboxName | UnsetType = UNSET
    tls_ca: Pem | UnsetType | None = UNSET


class AccountChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change; what is absent stays. Reports go to `bounce+…@return_path_domain`, else to the sender's own address.

    With `leave_one_time_links` clicks are not followed through links that look as if they work only once.
    `password` and `secret` are two names of one thing."""

    name: Line | UnsetType = UNSET
    host: Host | UnsetType = UNSET
    port: Port | UnsetType = UNSET
    tls: Tls | UnsetType = UNSET
    auth: Auth | UnsetType = UNSET
    username: Line | UnsetType | None = UNSET
    password: Secret | UnsetType | None = UNSET
    secret: Secret | UnsetType | None = UNSET
    tls_ca: Pem | UnsetType | None = UNSET
    identities: Annotated[list[Sender], Meta(min_length=1, max_length=100)] | UnsetType = UNSET
    limits: Bounds | UnsetType = UNSET
    ambiguity: Ambiguity | UnsetType = UNSET
    tracking: Signals | UnsetType = UNSET
    return_path_domain: Host | UnsetType | None = UNSET
    leave_one_time_links: bool | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    default: bool | UnsetType = UNSET
    imap: Mailbox | UnsetType | None = UNSET


class NewAccount(AccountChange, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An SMTP account: where it sends, as whom, and how fast. The first identity is the default sender.

    `tls` defaults to starttls, and to implicit on port 465; `auth` to password when there is one.
    """

    name: Line
    host: Host
    port: Port
    identities: Annotated[list[Sender], Meta(min_length=1, max_length=100)]


class DkimShown(msgspec.Struct, frozen=True, kw_only=True):
    """A DKIM key: the TXT record that DNS has to show for it. One that `waits` signs once `verify` has seen that."""

    algorithm: Algorithm
    selector: str
    record_name: str
    record_value: str
    waits: bool


class IdentityShown(msgspec.Struct, frozen=True, kw_only=True):
    """An address the account may send from, and the keys its mail is signed with; shared with its domain."""

    address: str
    name: str
    dkim: list[DkimShown]


class MailboxShown(msgspec.Struct, frozen=True, kw_only=True):
    """A linked IMAP mailbox; its secret is never shown."""

    host: str
    port: int
    tls: Tls
    auth: ImapAuth
    username: str
    mailbox: str
    tls_ca: str | None


class AccountShown(msgspec.Struct, frozen=True, kw_only=True):
    """An SMTP account as it is; of its secret only whether there is one."""

    id: str
    name: str
    host: str
    port: int
    tls: Tls
    auth: Auth
    username: str | None
    has_secret: bool
    tls_ca: str | None
    identities: list[IdentityShown]
    limits: Limits
    ambiguity: Ambiguity
    tracking: Tracking
    return_path_domain: str | None
    leave_one_time_links: bool
    imap: MailboxShown | None
    disabled: bool
    default: bool
    created_at: datetime
    updated_at: datetime


class Check(msgspec.Struct, frozen=True):
    """One step or capability of the server: whether it is there, and what that means."""

    name: str
    ok: bool
    message: str


class DkimCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What DNS shows of a DKIM key, `unreachable` saying nothing about the record; and whether mail is signed with it."""

    selector: str
    record_name: str
    dns: Dns
    message: str
    signs: bool = True


class MailboxVerified(msgspec.Struct, frozen=True):
    """What a real connection to the linked mailbox found; `ok` says whether it can be read."""

    ok: bool
    checks: list[Check]


class Verified(msgspec.Struct, frozen=True):
    """What a real connection found; `ok` says whether mail can be sent, `dkim` whether its signatures hold.

    `imap` is null when no mailbox is linked.
    """

    ok: bool
    checks: list[Check]
    dkim: list[DkimCheck] = []
    imap: MailboxVerified | None = None


def shown(account: Account, default_id: str | None) -> AccountShown:
    """Return the account as a client may see it."""
    smtp = account.smtp
    return AccountShown(
        id=account.id,
        name=account.name,
        host=smtp.host,
        port=smtp.port,
        tls=smtp.tls,
        auth=smtp.auth,
        username=smtp.username,
        has_secret=smtp.secret is not None,
        tls_ca=smtp.tls_ca,
        identities=[_identity(account, identity) for identity in account.identities],
        limits=account.limits,
        ambiguity=account.ambiguity,
        tracking=account.tracking,
        return_path_domain=account.return_path_domain,
        leave_one_time_links=account.leave_one_time_links,
        imap=_mailbox(account.imap) if account.imap else None,
        disabled=account.disabled,
        default=account.id == default_id,
        created_at=account.created_at,
        updated_at=account.updated_at,
    )


def _mailbox(imap: Imap) -> MailboxShown:
    return MailboxShown(
        host=imap.host,
        port=imap.port,
        tls=imap.tls,
        auth=imap.auth,
        username=imap.username,
        mailbox=imap.mailbox,
        tls_ca=imap.tls_ca,
    )


def _identity(account: Account, identity: Identity) -> IdentityShown:
    keys = [_key(key) for key in signing.keys_of(account, identity)]
    return IdentityShown(address=identity.address, name=identity.name, dkim=keys)


def _key(key: DkimKey) -> DkimShown:
    return DkimShown(
        algorithm=key.algorithm,
        selector=key.selector,
        record_name=dkim.record_name(key.selector, key.domain),
        record_value=dkim.record_value(key.algorithm, key.public),
        waits=key.waits,
    )
