"""Owns turning a client's values into our structs with every problem listed, not only the first.

msgspec stops at the first error. The quick way is tried first; only a request that fails is walked part by
part, so that valid requests pay nothing for good error messages.
"""

import re
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, TypeVar

import msgspec

from services.gateway.errors import MAX_PROBLEMS, Problem, invalid

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)
_LISTS: Final = (list, tuple, set, frozenset)
_SPOKEN: Final = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "an array",
    "null": "null",
    "datetime": "a time such as 2030-01-31T08:00:00Z",
}
_TIME: Final = "must be a time as RFC 3339 writes it, with an offset, such as 2030-01-31T08:00:00Z"
_TYPES: Final = re.compile(r"Expected `([^`]+)`, got `([^`]+)`")
_BOUND: Final = re.compile(r"Expected `(\w+)` (of length )?(>=|<=|>|<) (\S+)")
_COMPARED: Final = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}


def convert(value: Any, kind: type[T]) -> T:
    """Return the value as that struct. Raises: ApiError with all problems."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        found = list(problems(value, kind))[:MAX_PROBLEMS]
        raise invalid(found or [Problem("$", _message(error, kind))])


def problems(value: Any, kind: Any, path: str = "$") -> Iterator[Problem]:
    """Yield everything that keeps `value` from being a `kind`."""
    options = [option for option in _options(kind) if option not in (msgspec.UnsetType, type(None))]
    if isinstance(value, dict) and (struct := _first_struct(options)):
        found = list(_in_struct(value, struct, path))
    elif isinstance(value, dict) and (mapping := _first(options, (dict,))):
        found = list(_in_values(value.items(), typing.get_args(mapping)[1:], path, ".{}"))
    elif isinstance(value, list) and (sequence := _first(options, _LISTS)):
        found = list(_in_values(enumerate(value), typing.get_args(sequence)[:1], path, "[{}]"))
    else:
        found = []
    yield from found or _as_a_whole(value, kind, path)


def _in_struct(value: dict[str, Any], struct: type[msgspec.Struct], path: str) -> Iterator[Problem]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    if struct.__struct_config__.forbid_unknown_fields:
        for name in value.keys() - fields.keys():
            yield Problem(f"{path}.{name[:80]}", "is not a field of this request")
    for name, field in fields.items():
        if name in value:
            yield from problems(value[name], field.type, f"{path}.{name}")
        elif field.required:
            yield Problem(f"{path}.{name}", "is required")


def _in_values(items: Any, kinds: tuple[Any, ...], path: str, form: str) -> Iterator[Problem]:
    for place, item in items if kinds else ():
        yield from problems(item, kinds[0], path + form.format(str(place)[:80]))


def _as_a_whole(value: Any, kind: Any, path: str) -> Iterator[Problem]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        yield Problem(path, _message(error, kind))


def _options(kind: Any) -> Iterator[Any]:
    """Yield the alternatives of a union, without their annotations."""
    if typing.get_origin(kind) is Annotated:
        yield from _options(typing.get_args(kind)[0])
    elif typing.get_origin(kind) in (typing.Union, types.UnionType):
        for option in typing.get_args(kind):
            yield from _options(option)
    else:
        yield kind


def _first_struct(options: list[Any]) -> type[msgspec.Struct] | None:
    return next((o for o in options if isinstance(o, type) and issubclass(o, msgspec.Struct)), None)


def _first(options: list[Any], origins: tuple[type, ...]) -> Any:
    return next((option for option in options if (typing.get_origin(option) or option) in origins), None)


def _message(error: msgspec.ValidationError, kind: Any) -> str:
    """Say in a client's words what msgspec says in Python's."""
    text = str(error).partition(" - at `$")[0]
    if text.startswith("Invalid enum value"):
        return f"must be one of {', '.join(_choices(kind))}"
    if "RFC3339" in text or "timezone" in text:
        return _TIME
    if "matching regex" in text:
        return f"must be {_description(kind) or text.removeprefix('Expected ')}"
    if bound := _BOUND.match(text):
        word, length, comparison, limit = bound.groups()
        unit = "" if not length else " characters long" if word == "str" else " items long"
        return f"must be {_COMPARED[comparison]} {limit}{unit}"
    if types_ := _TYPES.match(text):
        wanted = " or ".join(_SPOKEN.get(part, part) for part in types_[1].split(" | "))
        return f"must be {wanted}, not {_SPOKEN.get(types_[2], types_[2])}"
    return text[0].lower() + text[1:]


def _choices(kind: Any) -> list[str]:
    return [
        str(choice)
        for option in _options(kind)
        if typing.get_origin(option) is typing.Literal
        for choice in typing.get_args(option)
    ]


def _description(kind: Any) -> str | None:
    if typing.get_origin(kind) is Annotated:
        for meta in typing.get_args(kind)[1:]:
            if isinstance(meta, msgspec.Meta) and meta.pattern and meta.description:
                return meta.description
    for option in typing.get_args(kind):
        if found := _description(option):
            return found
    return None


def query(given: Mapping[str, list[str]], kind: type[S]) -> S:
    """Return the parameters of a URL as that struct; only its lists may be repeated.

    Raises: ApiError with all problems.
    """
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    value: dict[str, Any] = {}
    found: list[Problem] = []
    for name, texts in given.items():
        if name not in fields:
            found.append(Problem(f"$.{name[:80]}", "is not a parameter of this request"))
        elif any("\0" in text for text in texts):
            found.append(Problem(f"$.{name}", "contains the character NUL"))
        elif _first(list(_options(fields[name])), _LISTS):
            value[name] = texts
        elif len(texts) > 1:
            found.append(Problem(f"$.{name}", "may be given once only"))
        else:
            value[name] = _from_text(texts[0], fields[name])
    found += [problem for problem in problems(value, kind) if problem.path not in {p.path for p in found}]
    if found:
        raise invalid(found[:MAX_PROBLEMS])
    return msgspec.convert(value, kind)


def _from_text(text: str, kind: Any) -> Any:
    """Return what a URL can only write as text: a number where one is expected, true or false."""
    options = list(_options(kind))
    if bool in options and text in ("true", "false"):
        return text == "true"
    if int in options and re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    return text


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """The query of a route that takes no parameters."""
