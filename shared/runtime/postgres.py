"""Postgres as a process sees it: a pool that survives restarts, and SQL kept in .sql files.

SQL lives beside its store as named statements (`-- name: insert_rows`); a store loads them once.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import asyncpg

_NAME: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
UNAVAILABLE: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that died between two steps of a question
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InvalidAuthorizationSpecificationError,  # and a wrong password, which is one: a rotation, say
)


def statements(path: Path) -> dict[str, str]:
    """Return the named statements of a .sql file."""
    parts = _NAME.split(path.read_text(encoding="utf-8"))
    return {name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}


class _Stateless(asyncpg.Connection):
    """A session that nobody changes: giving it back to the pool costs no question to the server."""

    def get_reset_query(self) -> str:
        """Return nothing to ask; an open transaction is rolled back all the same."""
        return ""


async def connect(
    url: str,
    *,
    size: int,
    statement_timeout: float = 30.0,
    lazy: bool = False,
    settings: Mapping[str, str] | None = None,
    stateless: bool = False,
) -> asyncpg.Pool:
    """Return a pool of up to `size` connections; `lazy` opens none until one is needed.

    `settings` are run-time parameters of the server that every session begins with. `stateless`: no question
    changes its session (SET, LISTEN, advisory locks, cursors beyond a transaction), so sessions are not reset.

    Raises: one of UNAVAILABLE when the database does not answer.
    """
    return await asyncpg.create_pool(
        url,
        min_size=0 if lazy else 1,
        max_size=size,
        connection_class=_Stateless if stateless else asyncpg.Connection,
        command_timeout=statement_timeout,
        max_inactive_connection_lifetime=60,
        timeout=5,
        server_settings={"application_name": "sendlog", **(settings or {})},
    )
