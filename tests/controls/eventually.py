"""Waiting for an outcome: the only way a test waits.

A sleep is either too short on a busy machine or too long on every other.
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

Outcome = TypeVar("Outcome")


@overload
async def eventually(
    condition: Callable[[], Awaitable[Outcome]], *, within: float = ..., every: float = ...
) -> Outcome: ...
@overload
async def eventually(
    condition: Callable[[], Outcome], *, within: float = ..., every: float = ...
) -> Outcome: ...
async def eventually(condition: Callable[[], Any], *, within: float = 5.0, every: float = 0.02) -> Any:
    """Ask `condition` until its answer is truthy, and return that answer.

    An AssertionError inside the condition counts as "not yet". Raises AssertionError with the last answer
    when `within` seconds have passed. After that it asks once more, so that what was due meanwhile gets its turn also
    where the whole machine stood still.
    """
    deadline, over = time.monotonic() + within, False
    while True:
        try:
            answer = condition()
            outcome = await answer if inspect.isawaitable(answer) else answer
            complaint = f"the last answer was {outcome!r}"
            if outcome:
                return outcome
        except AssertionError as refusal:
            complaint = str(refusal) or repr(refusal)
        if over:
            raise AssertionError(f"not within {within} s: {complaint}")
        over = time.monotonic() > deadline
        await asyncio.sleep(every)
