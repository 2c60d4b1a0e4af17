"""The configuration the services share: workspaces, API keys and SMTP accounts as their buckets hold them.

Written by the gateway, read by everyone; secrets are sealed (see keyring), keys are kept as SHA-256.
Bucket keys begin with the workspace, except the hash of an API key, which has to find it.
"""

import hashlib
import re
import secrets
from datetime import datetime
from typing import Final, Literal

import msgspec

from shared.events.email import Tracking
from shared.mail.dkim import Algorithm

WORKSPACE_NAME: Final = re.compile(r"\A[a-z0-9][a-z0-9_-]{0,62}\Z")
PERMISSIONS: Final = (
    "email.send",
    "email.history",
    "tracking.read",
    "tracking.export",
    "webhooks.read",
    "webhooks.write",
    "suppressions.read",
    "suppressions.write",
    "templates.read",
    "templates.write",
    "accounts.read",
    "accounts.write",
    "keys.read",
    "keys.write",
    "events.read",
    "privacy.write",
)
RATE_PER_MINUTE: Final = 60_000


class Workspace(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant: every subject, row and key begins with its name."""

    name: str
    created_at: datetime
    default_account_id: str | None = None


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """An API key as stored, under the SHA-256 of the token; the token itself is shown once."""

    id: str
    workspace: str
    name: str
    permissions: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    environment: str | None = None
    rate_limit: int = RATE_PER_MINUTE


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """An address the account may send from, and with which kinds of DKIM key its mail is signed."""

    address: str
    name: str = ""
    dkim: tuple[Algorithm, ...] = ()


class DkimKey(msgspec.Struct, frozen=True, kw_only=True):
    """A DKIM key of a domain, shared by the account's identities there. `secret` is sealed, `public` is for DNS.

    One that `waits` signs nothing yet: the one before it does, until DNS shows this one.
    """

    domain: str
    algorithm: Algorithm
    selector: str
    public: str
    secret: str
    created_at: datetime
    waits: bool = False


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What the next hop bears: connections at once, messages per window (absent: no limit)."""

    connections: int = 10
    per_second: int | None = None
    per_minute: int | None = None
    per_hour: int | None = None
    per_day: int | None = None

    @property
    def interval(self) -> float:
        """Return the seconds between two messages that both the second and the minute allow; 0 without a rate."""
        second = 1 / self.per_second if self.per_second else 0.0
        minute = 60 / self.per_minute if self.per_minute else 0.0
        return max(second, minute)


class Smtp(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach the next hop. `secret` is sealed: a password or an XOAUTH2 access token."""

    host: str
    port: int
    tls: Literal["implicit", "starttls", "none"] = "starttls"
    auth: Literal["password", "xoauth2", "none"] = "none"
    username: str | None = None
    secret: str | None = None
    tls_ca: str | None = None


class Imap(msgspec.Struct, frozen=True, kw_only=True):
    """The mailbox in which an account's replies and reports arrive. `secret` is sealed, as for SMTP."""

    host: str
    port: int
    tls: Literal["implicit", "starttls", "none"] = "implicit"
    auth: Literal["password", "xoauth2"] = "password"
    username: str
    secret: str
    mailbox: str = "INBOX"
    tls_ca: str | None = None


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An SMTP account of a workspace: the next hop, who may send through it, and how fast."""

    id: str
    workspace: str
    name: str
    smtp: Smtp
    identities: tuple[Identity, ...]
    dkim_keys: tuple[DkimKey, ...] = ()
    limits: Limits = Limits()
    ambiguity: Literal["at_least_once", "at_most_once"] = "at_least_once"
    tracking: Tracking = Tracking()
    return_path_domain: str | None = None
    leave_one_time_links: bool = False
    imap: Imap | None = None
    disabled: bool = False
    created_at: datetime
    updated_at: datetime


def hash_token(token: str) -> str:
    """Return the bucket key of an API token: its SHA-256 in hex."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_token() -> str:
    """Return a fresh API token: `sk_` and 256 random bits."""
    return f"sk_{secrets.token_urlsafe(32)}"


def account_key(workspace: str, account_id: str) -> str:
    """Return the bucket key of an account."""
    return f"{workspace}.{account_id}"
