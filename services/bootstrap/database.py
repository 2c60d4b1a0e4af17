"""The database's schemas: every service's migrations, each run once, in order, under a lock.

A service's migrations lie in `services/<name>/migrations/NNN_what.sql`; its tables live in a schema
and belong to a role of its own name. Files are read, never imported.
"""

import asyncio
import hashlib
from pathlib import Path

import asyncpg
import structlog

from shared.runtime import postgres

logger = structlog.get_logger(__name__)
_SERVICES = Path(__file__).resolve().parent.parent
_SQL = postgres.statements(Path(__file__).with_name("database.sql"))
# A role is there before any migration runs, for one service may grant to another.
_WITHOUT_TABLES = ("gateway", "tracker")


class MigrationError(Exception):
    """A migration failed, or one that has run was changed since; the message names the file."""


async def migrate(url: str, role_password: str | None) -> None:
    """Bring every service's schema up to date. Raises: MigrationError, or postgres.UNAVAILABLE."""
    connection = await asyncpg.connect(url, timeout=30)
    try:
        await connection.execute(_SQL["lock"])
        await connection.execute(_SQL["create_ledger"])
        await connection.execute(_SQL["create_extension"])
        directories = [path.parent.name for path in _SERVICES.glob("*/migrations")]
        for service in sorted({*_WITHOUT_TABLES, *directories}):
            await _ensure_role(connection, service, role_password)
        for path in sorted(_SERVICES.glob("*/migrations/*.sql")):
            await _run_once(connection, path.parent.parent.name, path)
    finally:
        await connection.close()


async def _ensure_role(connection: asyncpg.Connection, service: str, password: str | None) -> None:
    await connection.execute(_SQL["create_role"].replace("{service}", service))
    if password:
        quoted = await connection.fetchval(_SQL["quote"], password)
        await connection.execute(_SQL["set_password"].format(service=service, password=quoted))


async def _run_once(connection: asyncpg.Connection, service: str, path: Path) -> None:
    text = await asyncio.to_thread(path.read_text, encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    known = await connection.fetchval(_SQL["find"], service, path.name)
    if known == digest:
        return
    if known is not None:
        raise MigrationError(
            f"{service}/{path.name} was changed after it had run; write a new migration instead"
        )
    try:
        async with connection.transaction():
            await connection.execute(_SQL["act_as"].format(service=service))
            await connection.execute(text)
            await connection.execute(_SQL["act_as_self"])
            await connection.execute(_SQL["record"], service, path.name, digest)
    except asyncpg.PostgresError as error:
        raise MigrationError(f"{service}/{path.name}: {error}") from error
    logger.info("migrated", schema=service, file=path.name)
