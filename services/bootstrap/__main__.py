"""Run the bootstrap once: exits 0 when everything is there."""

import asyncio
import os
import sys

import structlog

from services.bootstrap import broker, database
from services.bootstrap.settings import Settings
from shared.runtime import postgres, settings, telemetry
from shared.runtime.content import ContentStore, ContentUnavailable
from shared.runtime.log import BrokerUnavailable


async def main() -> None:
    """Create and update the broker's objects and the database's, and mark a new content store."""
    wanted = settings.read(Settings, os.environ)
    is_new = await broker.ensure(wanted)
    if wanted.content_url is not None:
        store = ContentStore(wanted.content_url)
        if is_new:  # later an empty store is one whose disk is not mounted
            await store.prepare()
    await database.migrate(wanted.database_url, wanted.role_password)


if __name__ == "__main__":
    telemetry.configure("bootstrap")
    try:
        asyncio.run(main())
    except (
        settings.SettingsError,
        BrokerUnavailable,
        ContentUnavailable,
        database.MigrationError,
        *postgres.UNAVAILABLE,
    ) as error:
        structlog.get_logger().error("bootstrap_failed", error=str(error))
        sys.exit(f"bootstrap: {error}")
