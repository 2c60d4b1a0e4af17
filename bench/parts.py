"""The rows of single parts, each with its control: transaction, composing, projection, lookups, releases."""

from collections.abc import Awaitable, Callable

from bench.figures import Row

ROWS: dict[str, Callable[[int], Awaitable[list[Row]]]] = {}
