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
_decode: Final = msgspec.json.Decoder().decode


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
    _refuse_duplicates(body)
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
    if type(value) is dict:
        return not levels or any(_is_deeper(item, levels - 1) for item in value.values())
    if type(value) is list:
        return not levels or any(_is_deeper(item, levels - 1) for item in value)
    return False


def _refuse_duplicates(body: bytes) -> None:
    # msgspec keeps the last of two equal keys without a word. The stdlib's scanner with a hook sees both, and
    # is as quick as counting keys ourselves. The text is well-formed already, so the bare scanner will do.
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
