"""Owns what counts as JSON here: one UTF-8 value, bounded in depth, in which nothing can be read two ways.

Duplicate keys, NaN, lone surrogates and NUL are refused: each is a value that one parser of ours or of the
client's would see differently from the next, or that a store behind us cannot hold.
"""

import json
from collections import Counter
from collections.abc import Iterator
from json import scanner
from typing import Any, Final, NoReturn

import msgspec

from services.gateway.errors import MAX_PROBLEMS, Problem, invalid

MAX_DEPTH: Final = 32
_NUL: Final = b"\\u0000"
_COLON: Final = b"\\u003"
_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode


class _Duplicate(Exception):
    """An object names a key twice."""


def parse(body: bytes) -> Any:
    """Return the value of a JSON text. Raises: ApiError (VALIDATION_ERROR) naming what is wrong."""
    try:
        value = _decode(body)
    except msgspec.ValidationError as error:  # well-formed, but a number that no double or 4300 digits hold
        _refuse("$", f"is not accepted: {error}")
    except msgspec.DecodeError as error:
        _refuse("$", f"is not valid JSON: {error}" if body else "a JSON body is required")
    except UnicodeDecodeError as error:
        _refuse("$", f"is not valid UTF-8 (byte {error.start})")
    except RecursionError:
        _refuse("$", f"is nested deeper than {MAX_DEPTH} levels")
    _refuse_deep(body, value)
    _refuse_duplicates(body, value)
    if _NUL in body:
        _refuse_nul(value)
    return value


def _refuse(path: str, message: str) -> NoReturn:
    raise invalid([Problem(path, message)])


def _refuse_deep(body: bytes, value: Any) -> None:
    """Measure the depth only where there are brackets enough to reach the limit."""
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
        _refuse("$", f"is nested deeper than {MAX_DEPTH} levels")


def _is_deeper(value: Any, levels: int) -> bool:
    level = [value] if type(value) is dict or type(value) is list else []
    for _ in range(levels):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return False
    return True


def _refuse_duplicates(body: bytes, value: Any) -> None:
    # msgspec keeps the last of two equal keys without a word. Then colons are missing from what it wrote again: each
    # key has one, and a string has its own in both. Only one that is escaped in the body could make up for that.
    if body.count(b":") == _encode(value).count(b":") and _COLON not in body:
        return
    # The stdlib's scanner with a hook sees both keys. The text is well-formed already, so the bare scanner will do.
    try:
        _scan(body.decode().lstrip(" \t\r\n"), 0)
    except _Duplicate as duplicate:
        _refuse("$", f"names the key {duplicate.args[0]!r} twice in one object")


def _pairs(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) != len(pairs):
        [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise _Duplicate(name[:80])


_scan: Final = scanner.make_scanner(json.JSONDecoder(object_pairs_hook=_pairs))  # type: ignore[arg-type]


def _refuse_nul(value: Any) -> None:
    problems = [Problem(path, "contains the character NUL") for path in _nuls(value, "$")]
    if problems:
        raise invalid(problems[:MAX_PROBLEMS])


def _nuls(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, str):
        if "\0" in value:
            yield path
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nuls(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            if "\0" in key:
                yield path
            yield from _nuls(item, f"{path}.{key}")
