"""The control of the end-to-end row: Postfix between its own smtp-source and smtp-sink, where it is installed.

A Postfix of its own: configuration and queue are in a temporary directory, on loopback and free ports; the system's
is neither asked nor touched. It keeps mail on disk as ours does, and may open as many connections to its next hop.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from bench.figures import Row
from bench.sending import listening
from deploy.local.ports import LOOPBACK, free_port

SESSIONS: Final = 64
BAR: Final = 3
WITHIN: Final = 60
_NEEDED: Final = ("postconf", "smtp-source", "smtp-sink")
_QUEUES: Final = (
    *("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming"),
    *("private", "public", "saved", "trace"),
)
_MAIN: Final = """\
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
maillog_file = {home}/log
maillog_file_prefixes = {home}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = bench.sendlog.test
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
local_recipient_maps =
relayhost = [127.0.0.1]:{next_hop}
smtpd_client_connection_count_limit = 0
default_destination_concurrency_limit = 20
"""
_MASTER: Final = """\
127.0.0.1:{port} inet n - n - 100 smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""


async def rate(count: int) -> float | None:
    """Return how many emails of 1 KB a second reach the sink; None where Postfix is not installed or we are not root.

    Raises: RuntimeError when they do not within a minute.
    """
    if os.geteuid() != 0 or not all(map(shutil.which, _NEEDED)):
        return None
    port, next_hop = free_port(), free_port()
    with _postfix(port, next_hop):
        await asyncio.wait_for(listening(port), WITHIN)
        await _through(port, next_hop, count // 10)  # warm up
        return count / await _through(port, next_hop, count)


def beside(row: Row, postfix: float | None) -> Row:
    """Return the row with Postfix as its control; where there is none, its other bars decide."""
    if postfix is None:
        return msgspec.structs.replace(row, control=f"Postfix not installed or not root; {row.control}")
    ratio = row.values["per_second"] / postfix
    return msgspec.structs.replace(
        row,
        control=f"Postfix {postfix:,.0f}/s: {ratio:.1f} x; {row.control}",
        bar=f"{row.bar}, >= {BAR} x",
        met=row.met and ratio >= BAR,
        values={**row.values, "control_per_second": postfix, "ratio": ratio},
    )


@contextmanager
def _postfix(port: int, next_hop: int) -> Iterator[None]:
    home = Path(tempfile.mkdtemp(prefix="sendlog-postfix-"))
    try:
        home.chmod(0o755)
        for name, text in (("main.cf", _MAIN), ("master.cf", _MASTER)):
            (home / name).write_text(text.format(home=home, port=port, next_hop=next_hop))
        (home / "queue" / "pid").mkdir(parents=True)
        for directory in (home / "data", *(home / "queue" / name for name in _QUEUES)):
            directory.mkdir()
            shutil.chown(directory, "postfix")
        # -d: as it was built, whatever the system's own configuration says.
        daemons = subprocess.check_output(["postconf", "-dh", "daemon_directory"], text=True).strip()
        command = [*_bounded(3 * WITHIN), f"{daemons}/master", "-d", "-c", str(home)]
        master = subprocess.Popen(command, start_new_session=True)
        try:
            yield
        finally:
            with suppress(ProcessLookupError):  # its daemons are of its group, and end with it
                os.killpg(master.pid, signal.SIGKILL)
            master.wait()
    finally:
        shutil.rmtree(home, ignore_errors=True)


async def _through(port: int, next_hop: int, count: int) -> float:
    """Send that many and return after how many seconds the sink had all."""
    sink = await asyncio.create_subprocess_exec(
        *(*_bounded(WITHIN), "smtp-sink", "-u", "postfix", "-M", str(count)),
        *(f"{LOOPBACK}:{next_hop}", "1024"),
    )
    source = None
    try:
        await asyncio.wait_for(listening(next_hop), WITHIN)
        began = time.perf_counter()
        source = await asyncio.create_subprocess_exec(
            *(*_bounded(WITHIN), "smtp-source", "-d", "-s", str(SESSIONS), "-l", "1024", "-m", str(count)),
            *("-f", "hello@sendlog.test", "-t", "user@example.com", f"{LOOPBACK}:{port}"),
        )
        if await sink.wait() != 0:
            raise RuntimeError(f"Postfix did not deliver {count} emails within {WITHIN} s")
        return time.perf_counter() - began
    finally:
        for process in (source, sink):
            if process is not None:
                with suppress(ProcessLookupError):
                    process.terminate()
                await process.wait()


def _bounded(seconds: int) -> tuple[str, ...]:
    """Return what ends a command after a while, though we may be gone: as another user it does not die with us."""
    return ("timeout", str(seconds))
