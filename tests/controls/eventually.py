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
    when `within` seconds have passed.
    """
    deadline = time.monotonic() + within
    while True:
        try:
            answer = condition()
            outcome = await answer if inspect.isawaitable(answer) else answer
            complaint = f"the last answer was {outcome!r}"
            if outcome:
                return outcome
        except AssertionError as refusal:
            complaint = str(refusal) or repr(refusal)
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {complaint}")
        await asyncio.sleep(every)
