"""Run the bootstrap once: exits 0 when everything is there."""

import asyncio
import os
import sys

import structlog

from services.bootstrap import broker, database
from services.bootstrap.settings import Settings
from shared.runtime import postgres, settings, telemetry
from shared.runtime.log import BrokerUnavailable


async def main() -> None:
    """Create and update the broker's objects and the database's."""
    wanted = settings.read(Settings, os.environ)
    await broker.ensure(wanted)
    await database.migrate(wanted.database_url, wanted.role_password)


if __name__ == "__main__":
    telemetry.configure("bootstrap")
    try:
        asyncio.run(main())
    except (
        settings.SettingsError,
        BrokerUnavailable,
        database.MigrationError,
        *postgres.UNAVAILABLE,
    ) as error:
        structlog.get_logger().error("bootstrap_failed", error=str(error))
        sys.exit(f"bootstrap: {error}")
