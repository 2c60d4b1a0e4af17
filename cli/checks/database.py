"""Looks at Postgres: whether it answers, keeps what it is told, and has every migration of this version."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import asyncpg

from cli.checks.finding import Finding, bad, good, odd
from cli.environment import CHECKOUT, Environment
from shared.runtime import postgres

_SQL: Final = postgres.statements(Path(__file__).with_suffix(".sql"))
_BOOTSTRAP: Final = "run python -m services.bootstrap"


async def look(environment: Environment) -> AsyncIterator[Finding]:
    """Look at the database and its migrations."""
    url = environment.get("SENDLOG_DATABASE_URL")
    if url is None:
        yield bad(
            "database", "SENDLOG_DATABASE_URL is not set", "set it, or start a local world with make run"
        )
        return
    try:
        connection = await asyncpg.connect(url, timeout=5, command_timeout=10)
    except (asyncpg.PostgresError, ValueError, *postgres.UNAVAILABLE) as error:
        action = "start it; until then mail is accepted and sent, but lists, retries and schedules wait"
        yield bad("database", f"does not let us in: {error}", action)
        return
    try:
        yield await _server(connection)
        yield await _migrations(connection)
    except asyncpg.PostgresError as error:
        yield bad(
            "migrations", str(error), "use a role that may read the schema bootstrap, such as its owner"
        )
    finally:
        await connection.close(timeout=2)


async def _server(connection: asyncpg.Connection) -> Finding:
    (found,) = await connection.fetch(_SQL["version"])
    size = await connection.fetchval(_SQL["size"])
    told = f"PostgreSQL {found['version']}, {size / 1e6:.0f} MB"
    if found["fsync"] != "on":
        return odd("database", f"{told}, fsync is off", "set fsync = on: a power cut could damage it")
    return good("database", told)


async def _migrations(connection: asyncpg.Connection) -> Finding:
    if not await connection.fetchval(_SQL["ledger_exists"]):
        return bad("migrations", "none has run", _BOOTSTRAP)
    done = {row["name"]: row["digest"] for row in await connection.fetch(_SQL["migrations"])}
    return compare(wanted(CHECKOUT / "services"), done)


def wanted(services: Path) -> dict[str, str]:
    """Return the digest of every migration of this version."""
    return {
        f"{path.parents[1].name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(services.glob("*/migrations/*.sql"))
    }


def compare(here: dict[str, str], done: dict[str, str]) -> Finding:
    """Judge what has run against what this version has."""
    missing = sorted(set(here) - set(done))
    changed = sorted(name for name, digest in here.items() if done.get(name, digest) != digest)
    newer = sorted(set(done) - set(here))
    if changed:
        return bad("migrations", f"changed after they ran: {', '.join(changed)}", "restore those files")
    if missing:
        return bad("migrations", f"not run yet: {', '.join(missing)}", _BOOTSTRAP)
    if newer:
        return odd(
            "migrations", f"from a newer version: {', '.join(newer)}", "run the version that made them"
        )
    return good("migrations", f"{len(here)} have run")
