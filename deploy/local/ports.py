"""Which TCP ports the local world listens on.

Ports that nobody asked for by number are taken from below the kernel's ephemeral range: a port from
inside it could be lent to an outgoing connection while its owner restarts, which then could not bind.
"""

import random
import socket

LOOPBACK = "127.0.0.1"
_BELOW_EPHEMERAL = range(20_000, 32_000)
_handed_out: set[int] = set()


def is_free(port: int) -> bool:
    """Say whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """Return a loopback port nobody listens on; this process is never given the same one twice."""
    while True:
        port = random.choice(_BELOW_EPHEMERAL)
        if port not in _handed_out and is_free(port):
            _handed_out.add(port)
            return port
