"""One thing that was looked at, what was found, and what to do about it."""

from typing import Final, NamedTuple

GOOD: Final = "ok"
ODD: Final = "WARN"
BAD: Final = "FAIL"


class Finding(NamedTuple):
    """`verdict` is ok, WARN or FAIL; `action` says what to do, where there is anything to do."""

    name: str
    verdict: str
    message: str
    action: str = ""


def good(name: str, message: str) -> Finding:
    """Return a finding that needs nothing."""
    return Finding(name, GOOD, message)


def odd(name: str, message: str, action: str) -> Finding:
    """Return a finding that somebody should look at."""
    return Finding(name, ODD, message, action)


def bad(name: str, message: str, action: str) -> Finding:
    """Return a finding that keeps Sendlog from doing its work."""
    return Finding(name, BAD, message, action)
