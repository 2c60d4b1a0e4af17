"""What the event classes say about themselves: their fact, their evidence, their JSON Schema.

The schemas are JSON Schema 2020-12 by msgspec, with times marked as such.
"""

import inspect
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, get_args

import msgspec

from shared.events import record
from shared.events.base import REGISTRY, Event

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def events() -> list[type[Event]]:
    """Return every event class, by voice and in the order of its file."""
    ours = [cls for cls in REGISTRY.values() if cls.__module__.startswith("shared.events.")]
    places = {module.__name__: place for place, module in enumerate(record.VOICES)}
    return sorted(ours, key=lambda cls: (places[cls.__module__], inspect.getsourcelines(cls)[1]))


def fact(cls: type[Event]) -> str:
    """Return what an event states."""
    return _in_one_line(_docstring(cls).split("Evidence:")[0])


def evidence(cls: type[Event]) -> str:
    """Return how it is known."""
    return _in_one_line(_docstring(cls).split("Evidence:")[1].split("\n\n")[0])


def notes(cls: type[Event]) -> str:
    """Return what else there is to say about its fields."""
    return _in_one_line("\n\n".join(_docstring(cls).split("Evidence:")[1].split("\n\n")[1:]))


def _docstring(cls: type[Event]) -> str:
    return inspect.getdoc(cls) or ""


def _in_one_line(text: str) -> str:
    return " ".join(text.split())


def components(prefix: str) -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of every event and of every type in one, references beginning with `prefix`."""
    _, found = msgspec.json.schema_components(events(), ref_template=prefix + "{name}")
    kinds = {cls.__name__: cls for root in events() for cls in _structs(root)}
    for name, schema in found.items():
        schema["description"] = _paragraphs(schema.get("description", ""))
        for field in msgspec.structs.fields(kinds[name]):
            if _is_time(field.type):
                _mark_times(schema["properties"][field.encode_name])
    return found


def _structs(kind: Any) -> Iterator[type[msgspec.Struct]]:
    """Return a struct type and every struct type inside it."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
        for field in msgspec.structs.fields(kind):
            yield from _structs(field.type)
    for part in get_args(kind):
        yield from _structs(part)


def _is_time(kind: Any) -> bool:
    return kind is datetime or datetime in get_args(kind)


def _mark_times(schema: dict[str, Any]) -> None:
    for part in schema.get("anyOf", [schema]):
        if part.get("type") == "string":
            part["format"] = "date-time"


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def documents() -> dict[str, dict[str, Any]]:
    """Return the self-contained JSON Schema of each event, by the name of its file."""
    files: dict[str, dict[str, Any]] = {}
    known = components("#/$defs/")
    for cls in events():
        own = known[cls.__name__]
        needed = {name: known[name] for name in sorted(_reachable(own, known))}
        head = {"$schema": DIALECT, "$id": f"urn:sendlog:schema:{cls.type_name()}", **own}
        whole = head | ({"$defs": needed} if needed else {})
        files[f"{cls.name}.v{cls.version}.json"] = whole
    return files


def _reachable(schema: dict[str, Any], known: dict[str, dict[str, Any]]) -> set[str]:
    found: set[str] = set()
    waiting = [schema]
    while waiting:
        names = {ref.rsplit("/", 1)[1] for ref in _references(waiting.pop())} - found
        found |= names
        waiting += [known[name] for name in names]
    return found


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


def in_words(how: dict[str, Any]) -> str:
    """Return a JSON Schema in words."""
    if "$ref" in how:
        name = how["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in how:
        return " or ".join(in_words(part) for part in how["anyOf"] if part.get("type") != "null")
    if "enum" in how:
        return " or ".join(f"`{value}`" for value in how["enum"])
    if "const" in how:
        return f"`{how['const']}`"
    return _plain(how) if "type" in how else "anything"


def _plain(how: dict[str, Any]) -> str:
    if "prefixItems" in how:
        return "array of " + " and ".join(in_words(part) for part in how["prefixItems"])
    if how["type"] == "array":
        return f"array of {in_words(how['items'])}"
    if "additionalProperties" in how:
        return f"object of {in_words(how['additionalProperties'])}"
    return {"date-time": "time", "base64": "bytes in base64"}.get(
        how.get("format") or how.get("contentEncoding", ""), str(how["type"])
    )
