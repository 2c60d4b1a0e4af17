"""Reading the environment into a typed struct, once, at start.

Each service's settings.py names its fields; a field `nats_url` is read from SENDLOG_NATS_URL. All that
is wrong is reported together, in words an operator can act on.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)


class SettingsError(Exception):
    """The environment does not hold what this process needs; the message names every variable."""


def read(kind: type[T], environment: Mapping[str, str]) -> T:
    """Return the settings struct filled from SENDLOG_* variables. Raises: SettingsError."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for field in msgspec.structs.fields(kind):
        variable = f"SENDLOG_{field.name.upper()}"
        given = environment.get(variable, "")
        if given == "":
            if field.required:
                problems.append(f"{variable} is not set")
            continue
        try:
            values[field.name] = msgspec.convert(given, field.type, strict=False)
        except msgspec.ValidationError as error:
            problems.append(f"{variable}={given!r}: {error}")
    if problems:
        raise SettingsError("; ".join(problems))
    return kind(**values)
