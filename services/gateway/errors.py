"""Owns the error codes of the REST contract and their HTTP status.

A handler refuses by raising; the wire form (envelope or RFC 9457) is made in one place, envelope.py, so
that no answer can leave without its code and its request id.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec

VALIDATION_ERROR: Final = "VALIDATION_ERROR"
UNAUTHORIZED: Final = "UNAUTHORIZED"
FORBIDDEN: Final = "FORBIDDEN"
NOT_FOUND: Final = "NOT_FOUND"
METHOD_NOT_ALLOWED: Final = "METHOD_NOT_ALLOWED"
REQUEST_TIMEOUT: Final = "REQUEST_TIMEOUT"
CONFLICT: Final = "CONFLICT"
IDEMPOTENCY_MISMATCH: Final = "IDEMPOTENCY_MISMATCH"
PAYLOAD_TOO_LARGE: Final = "PAYLOAD_TOO_LARGE"
UNSUPPORTED_MEDIA_TYPE: Final = "UNSUPPORTED_MEDIA_TYPE"
RANGE_NOT_SATISFIABLE: Final = "RANGE_NOT_SATISFIABLE"
SMTP_ACCOUNT_REQUIRED: Final = "SMTP_ACCOUNT_REQUIRED"
TEMPLATE_ERROR: Final = "TEMPLATE_ERROR"
RATE_LIMITED: Final = "RATE_LIMITED"
INTERNAL_ERROR: Final = "INTERNAL_ERROR"
UNAVAILABLE: Final = "UNAVAILABLE"

STATUS: Final = MappingProxyType(
    {
        VALIDATION_ERROR: 400,
        UNAUTHORIZED: 401,
        FORBIDDEN: 403,
        NOT_FOUND: 404,
        METHOD_NOT_ALLOWED: 405,
        REQUEST_TIMEOUT: 408,
        CONFLICT: 409,
        IDEMPOTENCY_MISMATCH: 409,
        PAYLOAD_TOO_LARGE: 413,
        UNSUPPORTED_MEDIA_TYPE: 415,
        RANGE_NOT_SATISFIABLE: 416,
        SMTP_ACCOUNT_REQUIRED: 422,
        TEMPLATE_ERROR: 422,
        RATE_LIMITED: 429,
        INTERNAL_ERROR: 500,
        UNAVAILABLE: 503,
    }
)
RETRY_AFTER: Final = 2
MAX_PROBLEMS: Final = 1000  # told of one request


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong with a request, and where: `$.attachments[2].content`."""

    path: str
    message: str


class ApiError(Exception):
    """The request is refused with this code; `details` holds every problem that was found."""

    def __init__(
        self,
        code: str,
        message: str,
        details: Iterable[Problem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.status = STATUS[code]
        self.message = message
        self.details = tuple(details)
        self.headers = headers or {}


def told(problems: Sequence[Problem]) -> list[Problem]:
    """Return as many of the problems as are told of one request, and how many there are besides."""
    left = len(problems) - MAX_PROBLEMS
    return [*problems[:MAX_PROBLEMS], *([Problem("$", f"and {left} problems more")] if left > 0 else [])]


def invalid(problems: Iterable[Problem]) -> ApiError:
    """Return the refusal of a request with everything that is wrong with it."""
    return ApiError(VALIDATION_ERROR, "the request is not valid; see details", problems)


def not_found(what: str) -> ApiError:
    """Return the answer for an unknown id, and for another workspace's: never tell which."""
    return ApiError(NOT_FOUND, f"there is no such {what}")


def unavailable(message: str) -> ApiError:
    """Return the answer when something of ours does not work right now and a repeat may succeed."""
    return ApiError(UNAVAILABLE, message, headers={"Retry-After": str(RETRY_AFTER)})
