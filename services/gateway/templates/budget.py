"""Owns what rendering may cost: characters read, steps of loops, work done in them. Pure.

Counted and not timed, so that a template renders everywhere or nowhere: what a dry run showed is what is sent.
"""

from collections.abc import Iterable
from typing import Final

MAX_WORK: Final = 4 * 1024 * 1024
MAX_STEPS: Final = 10_000
MAX_OPERATIONS: Final = 1_000_000
BATCH: Final = 10  # a batch may cost as much as this many of the costliest emails


class TemplateError(ValueError):
    """A template that cannot be rendered with these variables; `problems` say where and why, one by one."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Work:
    """What the texts of one email may still cost; `within` is what they share with the rest of a batch."""

    def __init__(
        self,
        characters: int = MAX_WORK,
        steps: int = MAX_STEPS,
        operations: int = MAX_OPERATIONS,
        within: "Work | None" = None,
    ) -> None:
        self._characters = characters
        self._steps = steps
        self._operations = operations
        self._within = within

    def charge(self, size: int) -> None:
        """Take off what a filter or a comparison is about to read. Raises: TemplateError."""
        self._characters -= size
        if self._characters < 0:
            raise TemplateError(f"the filters in one email may read at most {MAX_WORK} characters together")
        if self._within is not None:
            self._within.charge(size)

    def loop(self, length: int, weight: int) -> None:
        """Take off a loop before its first step; `weight` is how much there is to do in each.

        Raises: TemplateError.
        """
        self._steps -= length
        self._operations -= length * weight
        if self._steps < 0:
            raise TemplateError(f"the loops in one email may take at most {MAX_STEPS} steps together")
        if self._operations < 0:
            raise TemplateError("the loops in one email have too much to do in their steps")
        if self._within is not None:
            self._within.loop(length, weight)


def for_batch() -> Work:
    """Return what a whole batch may cost: `Work(within=…)` for each email in it."""
    return Work(BATCH * MAX_WORK, BATCH * MAX_STEPS, BATCH * MAX_OPERATIONS)


def listed(names: Iterable[str]) -> str:
    """Return the names as a sentence lists them."""
    return ", ".join(sorted(names))
