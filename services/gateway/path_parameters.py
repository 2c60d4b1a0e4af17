"""Owns what may stand in a path where a route names a parameter: a UUID, or an address where it is called `email`.

Bucket keys and subjects are made of these, so each is brought to its one spelling before a handler sees it.
"""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from services.gateway import identifiers
from services.gateway.errors import Problem, invalid
from shared.mail import address

ADDRESS: Final = "email"


def read(names: Sequence[str], raw: Sequence[str]) -> dict[str, str]:
    """Return the parameters of a path as it came. Raises: ApiError naming those that are wrong."""
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for name, text in zip(names, raw, strict=True):
        try:
            found[name] = _address(text) if name == ADDRESS else _uuid(text)
        except ValueError as error:
            problems.append(Problem(f"$.{name}", str(error)))
    if problems:
        raise invalid(problems)
    return found


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a parameter."""
    return {"type": "string", "format": "email" if name == ADDRESS else "uuid"}


def _uuid(text: str) -> str:
    found = identifiers.as_uuid(text)
    if found is None:
        raise ValueError("must be a UUID")
    return found


def _address(text: str) -> str:
    try:
        return address.parse(unquote_to_bytes(text).decode()).address
    except UnicodeDecodeError:
        raise ValueError("must be an email address, percent-encoded as UTF-8") from None
    except address.AddressError as error:
        raise ValueError(f"must be an email address: {error}") from None
