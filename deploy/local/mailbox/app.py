"""Builds the mailbox and runs it until it is asked to stop."""

import asyncio
import signal

from aiohttp import web

from deploy.local.mailbox import routes, settings, smtp, storage
from deploy.local.ports import LOOPBACK


async def run(chosen: settings.Settings) -> None:
    """Serve SMTP and then HTTP, on loopback only, until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    mail = storage.Storage(chosen.directory)
    smtp_server = await loop.create_server(
        lambda: smtp.Session(mail, largest=chosen.largest_message), LOOPBACK, chosen.smtp_port, backlog=1024
    )
    runner = web.AppRunner(routes.application(mail), access_log=None, shutdown_timeout=2)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, chosen.http_port).start()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    smtp_server.close()
    await runner.cleanup()
