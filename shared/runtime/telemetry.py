"""Structured logs: one JSON object a line on standard output, rendered by structlog.

Secrets never reach a log: values under a telling key are replaced before rendering.
"""

import logging
import re
import sys
from typing import Any, Final

import msgspec
import structlog

_SECRET_WORDS: Final = ("password", "secret", "authorization", "token", "api_key", "access_key")
# A comma inside a password is no end of a URL.
_NEXT_URL: Final = re.compile(r",(?=\s*[a-z+]+://)")
_encode = msgspec.json.Encoder(enc_hook=repr).encode


def redact(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Replace the value of every key that names a secret."""
    for key in event:
        if any(word in key.lower() for word in _SECRET_WORDS):
            event[key] = "[redacted]"
    return event


def without_credentials(url: str) -> str:
    """Return the URL, or several with commas between, without the name, password or token before the host."""
    return ",".join(_anonymous(one) for one in _NEXT_URL.split(url))


def _anonymous(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url.rpartition("@")[2]
    return scheme + separator + rest.rpartition("@")[2]


def configure(service: str, level: str = "info") -> None:
    """Set up logging for this process; call once, first."""
    number = getattr(logging, level.upper(), logging.INFO)
    structlog.configure(
        cache_logger_on_first_use=True,
        wrapper_class=structlog.make_filtering_bound_logger(number),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            redact,
            structlog.processors.JSONRenderer(serializer=_render),
        ],
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer),
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")


def _render(event: Any, **_: Any) -> bytes:
    return _encode(event)
