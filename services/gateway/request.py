"""Owns what a handler is given and what it gives back: the request with its key, the parts it may use, the reply.

Whatever stands in a Request has passed: the key is valid and may do this, the body is within its limits.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeAlias

import asyncpg
import msgspec
from aiohttp import web
from multidict import CIMultiDictProxy
from nats.aio.client import Client

from services.gateway.estimates import Estimates
from services.gateway.settings import Settings
from services.gateway.suppressions.imports import Imports
from services.gateway.templates.library import Library
from shared.runtime.buckets import Bucket
from shared.runtime.configuration import Account, ApiKey, Workspace
from shared.runtime.content import ContentStore
from shared.runtime.keyring import Keyring
from shared.runtime.log import Log
from shared.runtime.outgoing import Networks
from shared.runtime.publisher import Publisher
from shared.runtime.suppressions import Suppressions
from shared.runtime.tokens import Tokens

BATCHES: Final = 2  # prepared side by side: more of them are only more memory
EXPORTS: Final = 4  # at once: each holds a connection of the pool for as long as its reader takes


class KeyUse(msgspec.Struct, frozen=True):
    """When a key was last used, to the minute; apart from the key, so that using one changes no key."""

    last_used_at: datetime


@dataclass(slots=True, kw_only=True)
class Services:
    """The running parts a handler works with; `app.build` makes them.

    `log_below_mark` is kept current by log_room; `batches` is held while a batch is prepared,
    `exports` while what came back is exported. `pool` opens no
    connection until it is used, and every use may raise one of `postgres.UNAVAILABLE`.
    """

    settings: Settings
    client: Client
    log: Log
    publisher: Publisher
    pool: asyncpg.Pool
    keys: Bucket[ApiKey]
    key_uses: Bucket[KeyUse]
    accounts: Bucket[Account]
    workspaces: Bucket[Workspace]
    templates: Library
    suppressions: Suppressions
    imports: Imports
    content: ContentStore
    keyring: Keyring
    tokens: Tokens
    allowed: Networks
    nameservers: list[tuple[str, int]]
    log_below_mark: bool = True
    estimates: Estimates = field(default_factory=Estimates)
    batches: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(BATCHES))
    exports: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(EXPORTS))

    @property
    def log_has_room(self) -> bool:
        """Whether new mail may be accepted: the rest of a log that is 90 % full belongs to mail under way.

        The mark is looked at every two seconds; the broker saying that it is full counts at once.
        """
        return self.log_below_mark and not self.publisher.full


@dataclass(slots=True)
class Request:
    """One authenticated request.

    `body` is the body as it came (at most `json_bytes`); `incoming` is there instead where the handler reads it; `data` the struct of `Route.body`, `query` the struct
    of `Route.query`, both already validated; `path` its parameters as path_parameters reads them.
    """

    services: Services
    request_id: str
    key: ApiKey
    path: dict[str, str]
    query: Any
    headers: CIMultiDictProxy[str]
    body: bytes = b""
    data: Any = None
    incoming: web.BaseRequest | None = None

    @property
    def workspace(self) -> str:
        """The workspace of the key: nothing is read or written outside of it."""
        return self.key.workspace


@dataclass(slots=True)
class Reply:
    """A success: `data` and `meta` as anything msgspec encodes; `status` defaults to the route's."""

    data: Any
    status: int | None = None
    meta: Any = None
    headers: Mapping[str, str] | None = None


@dataclass(slots=True)
class Download:
    """A success that is a file (`Route.produces`): exactly `size` bytes (None: as many as come), in pieces.

    It is saved as `filename`, never shown. What can be refused is refused before this is returned: once the
    pieces are asked for, a fault can only break the connection off. `status` is for parts of a file (206).
    """

    content_type: str
    filename: str
    size: int | None
    pieces: AsyncGenerator[bytes, None]
    status: int | None = None
    headers: Mapping[str, str] | None = None


Handler: TypeAlias = Callable[[Request], Awaitable[Reply | Download]]
