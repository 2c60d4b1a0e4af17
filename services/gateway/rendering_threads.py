"""Owns the threads in which texts are checked and rendered: few, and apart from those that write files.

What takes too long goes on to its end in its thread, for a thread cannot be stopped; so those who wait for files
must not wait for it.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from services.gateway import errors
from services.gateway.errors import PAYLOAD_TOO_LARGE, ApiError

T = TypeVar("T")
WITHIN: Final = 1.5
_TOO_LONG: Final = "the email takes too long to render; nothing was sent: make it simpler"
_BUSY: Final = "too much is being rendered right now; nothing was sent: try again"
_threads: Final = ThreadPoolExecutor(2, "rendering")


async def run(work: Callable[[], T], within: float | None = None) -> T:
    """Return what the work returns. Raises: ApiError 413 when it takes longer, 503 when it had no turn."""
    begun = _threads.submit(work)
    try:
        async with asyncio.timeout(within):
            return await asyncio.wrap_future(begun)
    except TimeoutError:
        if begun.cancelled():
            raise errors.unavailable(_BUSY) from None
        raise ApiError(PAYLOAD_TOO_LARGE, _TOO_LONG) from None
