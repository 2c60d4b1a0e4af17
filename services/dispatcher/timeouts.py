"""How long each answer of a next hop is waited for."""

import msgspec


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """In seconds. The final one is long: many servers scan before they answer, and giving up early makes a duplicate.

    `body` is for each piece of the message: a slow server is waited for as long as it takes some.
    """

    resolve: float = 15.0
    connect: float = 30.0
    tls: float = 30.0
    command: float = 60.0
    data: float = 120.0
    body: float = 180.0
    final: float = 600.0
    quit: float = 2.0
