"""Owns the filters and tests of templates: each written here, bounded, and blind to anything but JSON values. Pure.

Jinja's own are not used: some of them reach attributes, format with a client's widths or multiply texts. What
a filter reads is charged before it is read, and what it would make when that can be longer.
"""

import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import jinja2
from jinja2.runtime import Context, Undefined
from markupsafe import Markup, escape

from services.gateway.templates.budget import TemplateError, Work

WORK: Final = "_work"  # no name in a template may begin with an underscore
LOOP: Final = "_loop"
SCALAR: Final = "_scalar"
SEARCHED: Final = "_searched"
MAX_NUMBER: Final = 10**15
MAX_DECIMALS: Final = 10
_LONGER: Final = 6  # what escaping makes of a character at most
_SPEC: Final = re.compile(r"%(?:%|0?\d{0,2}(?:\.\d{1,2})?[sdf])")
_NAMES: Final = {
    dict: "an object",
    list: "an array",
    tuple: "an array",
    str: "a text",
    bool: "true or false",
    type(None): "null",
    jinja2.runtime.LoopContext: "a loop",
}


def kind(value: Any) -> str:
    """Return what a client would call this value."""
    return next((name for type_, name in _NAMES.items() if isinstance(value, type_)), "a number")


def spelled(value: Any) -> Any:
    """Return a JSON value as a reader expects it; an object or array is a mistake, not a text."""
    if isinstance(value, str | Undefined):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, int | float):
        return "" if value is None else value
    raise TemplateError(f"{kind(value)} cannot be shown as text")


def _known(value: Any) -> Any:
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    return value


def number(value: Any) -> int | float:
    """Return a number that arithmetic is allowed with. Raises: TemplateError."""
    if isinstance(_known(value), bool) or not isinstance(value, int | float):
        raise TemplateError(f"{kind(value)} is no number")
    if not abs(value) <= MAX_NUMBER:
        raise TemplateError("a number is too large to calculate with")
    return value


def _text(value: Any) -> str:
    """Return what a filter for texts works on; a Markup stays one."""
    found = spelled(_known(value))
    return found if isinstance(found, str) else str(found)


def _small(value: Any, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise TemplateError(f"a filter's number must be between 0 and {most}")
    return value


def _sized(value: Any) -> Any:
    if not isinstance(_known(value), str | list | tuple | dict):
        raise TemplateError(f"{kind(value)} has no length")
    return value


def _on_text(change: Callable[[str], str]) -> Callable[[Work, Any], Any]:
    def changed(work: Work, value: Any) -> Any:
        text = _text(value)
        work.charge(len(text))
        return change(text)

    return changed


def _default(work: Work, value: Any, otherwise: Any = "", boolean: bool = False) -> Any:
    return otherwise if isinstance(value, Undefined) or (boolean and not value) else value


def _escape(work: Work, value: Any) -> Markup:
    text = _text(value)
    work.charge(len(text))
    return escape(text)


def _replace(work: Work, value: Any, old: Any, new: Any) -> str:
    text, old, new = _text(value), _text(old), _text(new)
    if isinstance(text, Markup):
        old, new = escape(old), escape(new)
    work.charge(len(text) + len(old))
    work.charge((text.count(old) if old else len(text) + 1) * len(new))
    replaced: str = text.replace(old, new)
    return replaced


def _truncate(work: Work, value: Any, length: int = 255, killwords: bool = False, end: str = "...") -> str:
    text, end = _text(value), _text(end)
    work.charge(len(text) + len(end))
    if len(text) <= _small(length, 1_000_000):
        return text
    cut = str(text)[: max(length - len(end), 0)]
    kept = cut if killwords else cut.rsplit(" ", 1)[0]
    # Half an entity is no escaped text any more, so what is left counts as unescaped: it is escaped again.
    return kept + str(end)


def _join(work: Work, value: Any, between: Any = "") -> str:
    if not isinstance(_known(value), list | tuple):
        raise TemplateError(f"{kind(value)} cannot be joined: it must be an array")
    gap = str(_text(between))
    parts = [str(_text(part)) for part in value]
    work.charge(len(parts) * (1 + len(gap)) + sum(map(len, parts)))
    return gap.join(parts)


def _length(work: Work, value: Any) -> int:
    return len(_sized(value))


def _end(place: int) -> Callable[[Work, Any], Any]:
    def end(work: Work, value: Any) -> Any:
        if isinstance(_sized(value), dict) or not value:
            raise TemplateError(f"{kind(value)} has no {'last' if place else 'first'} item")
        return value[place]

    return end


def _round(work: Work, value: Any, precision: int = 0) -> int | float:
    found = round(number(value), _small(precision, MAX_DECIMALS))
    return found if precision else int(found)


def _absolute(work: Work, value: Any) -> int | float:
    return abs(number(value))


def _format(work: Work, value: Any, *values: Any) -> str:
    pattern = str(_text(value))
    parts = [number(part) if not isinstance(_known(part), str) else str(part) for part in values]
    work.charge(len(pattern) + sum(len(part) for part in parts if isinstance(part, str)))
    if "%" in _SPEC.sub("", pattern):
        raise TemplateError("format knows %s, %d and %f with at most two digits before and after a point")
    work.charge(100 * pattern.count("%"))
    return pattern % tuple(parts)


def _items(work: Work, value: Any) -> list[tuple[str, Any]]:
    if not isinstance(_known(value), dict):
        raise TemplateError(f"{kind(value)} has no items: it must be an object")
    work.charge(len(value))
    return list(value.items())


def _reverse(work: Work, value: Any) -> Any:
    if isinstance(_sized(value), dict):
        raise TemplateError("an object cannot be reversed")
    work.charge(len(value))
    return str(value)[::-1] if isinstance(value, str) else value[::-1]


def _urlencode(work: Work, value: Any) -> str:
    text = str(_text(value))
    work.charge(len(text) * 3)
    return quote(text, safe="")


def _lines(work: Work, value: Any) -> Markup:
    text = escape(_text(value))
    work.charge(len(text) * _LONGER)
    return Markup(text.replace("\r\n", "\n").replace("\n", Markup("<br>\n")))


def _loop(work: Work, value: Any, weight: int) -> list[Any]:
    if isinstance(_known(value), str) or not isinstance(value, list | tuple | dict):
        raise TemplateError(f"a loop goes over an array or an object, not {kind(value)}")
    work.loop(len(value), weight)
    return list(value)


def _scalar(work: Work, value: Any) -> Any:
    if isinstance(_known(value), dict | list | tuple):
        raise TemplateError(f"{kind(value)} cannot be compared")
    work.charge(len(value) if isinstance(value, str) else 1)
    return value


def _searched(work: Work, value: Any) -> Any:
    work.charge(len(_sized(value)))
    return value


_PLAIN: Final[dict[str, Callable[..., Any]]] = {
    "default": _default,
    "d": _default,
    "upper": _on_text(lambda text: text.upper()),
    "lower": _on_text(lambda text: text.lower()),
    "capitalize": _on_text(lambda text: text.capitalize()),
    "title": _on_text(lambda text: text.title()),
    "trim": _on_text(lambda text: text.strip()),
    "nl2br": _on_text(lambda text: text),
    "escape": _escape,
    "e": _escape,
    "replace": _replace,
    "truncate": _truncate,
    "join": _join,
    "length": _length,
    "count": _length,
    "first": _end(0),
    "last": _end(-1),
    "round": _round,
    "abs": _absolute,
    "format": _format,
    "items": _items,
    "reverse": _reverse,
    "urlencode": _urlencode,
}
NAMES: Final = frozenset(_PLAIN)
_INNER: Final[dict[str, Callable[..., Any]]] = {LOOP: _loop, SCALAR: _scalar, SEARCHED: _searched}


def made(*, escaping: bool) -> dict[str, Callable[..., Any]]:
    """Return all filters by name, those only the rewritten tree can name included."""
    own = {**_PLAIN, **_INNER, **({"nl2br": _lines} if escaping else {})}
    return {name: _with_work(function) for name, function in own.items()}


def _with_work(function: Callable[..., Any]) -> Callable[..., Any]:
    @jinja2.pass_context
    def charging(context: Context, *arguments: Any, **named: Any) -> Any:
        return function(context[WORK], *arguments, **named)

    return charging


TESTS: Final[dict[str, Callable[..., bool]]] = {
    "defined": lambda value: not isinstance(value, Undefined),
    "undefined": lambda value: isinstance(value, Undefined),
    "none": lambda value: _known(value) is None,
    "true": lambda value: _known(value) is True,
    "false": lambda value: _known(value) is False,
    "boolean": lambda value: isinstance(_known(value), bool),
    "number": lambda value: isinstance(_known(value), int | float) and not isinstance(value, bool),
    "string": lambda value: isinstance(_known(value), str),
    "sequence": lambda value: isinstance(_known(value), list | tuple),
    "mapping": lambda value: isinstance(_known(value), dict),
    "even": lambda value: number(value) % 2 == 0,
    "odd": lambda value: number(value) % 2 == 1,
    "divisibleby": lambda value, by: number(value) % number(by) == 0,
}
