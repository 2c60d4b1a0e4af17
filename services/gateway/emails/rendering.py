"""Variables in subject, html and text: `{{ name }}`, `{{ a.b }}`, `{{ a[0] }}` and a few filters. Pure.

The template is a client's text and runs in our process, so everything that could loop, call, compute or
reach Python is refused by walking the parsed tree: statements, calls, operators, tests, names and
attributes with a leading underscore, filters that are not listed. What is left is linear in what its
filters read, which is bounded by one budget for all texts of an email, and its output is bounded.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import jinja2
from jinja2 import nodes, sandbox

MAX_OUTPUT: Final = 1024 * 1024
MAX_EXPRESSIONS: Final = 500
MAX_TOKENS: Final = 20_000
MAX_FILTERS: Final = 5
MAX_WORK: Final = 4 * 1024 * 1024
FILTERS: Final = frozenset({"default", "d", "upper", "lower", "capitalize", "title", "trim", "escape", "e"})
_FREE: Final = frozenset({"default", "d"})  # they look at no character of their value
_WORK: Final = "_work"  # no name in a template may begin with an underscore
_LONG_NUMBER: Final = re.compile(r"(?<![\d_.])[\d_.]{1000}")
_RESERVED: Final = frozenset({"self", "super", "caller", "loop", "varargs", "kwargs"})
_ALLOWED: Final = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Const,
    nodes.Filter,
)


class TemplateError(ValueError):
    """A template that cannot be rendered with these variables; the text says where and why."""


class Work:
    """What the filters in the texts of one email may still read, in characters."""

    def __init__(self, left: int = MAX_WORK) -> None:
        self._left = left

    def charge(self, size: int) -> None:
        """Take off what a filter is about to read. Raises: TemplateError."""
        self._left -= size
        if self._left < 0:
            raise TemplateError(f"the filters in one email may read at most {MAX_WORK} characters together")


class _Environment(sandbox.ImmutableSandboxedEnvironment):
    """A sandbox in which a dot looks into the client's object, and never at Python's attributes."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        fits = (isinstance(obj, dict) and isinstance(argument, str)) or (
            isinstance(obj, list) and isinstance(argument, int)
        )
        try:
            if fits:
                return obj[argument]
        except (KeyError, IndexError):
            pass
        return self.undefined(obj=obj, name=argument)


def _spelled(value: Any) -> Any:
    """Return a JSON value as a reader expects it; an object or array is a mistake, not a text."""
    if isinstance(value, dict | list):
        raise TemplateError(f"an {'object' if isinstance(value, dict) else 'array'} cannot be shown as text")
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value


def _charged(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the filter with what it reads charged, and kept from Python's own spelling of a value."""

    @jinja2.pass_context
    def charging(context: jinja2.runtime.Context, value: Any) -> Any:
        spelled = _spelled(value)
        context[_WORK].charge(len(spelled) if isinstance(spelled, str) else 1)
        return function(spelled)

    return charging


def _environment(escaping: bool) -> _Environment:
    made = _Environment(
        autoescape=escaping, undefined=jinja2.StrictUndefined, finalize=_spelled, keep_trailing_newline=True
    )
    made.globals.clear()
    made.filters = {
        name: function if name in _FREE else _charged(function)
        for name, function in made.filters.items()
        if name in FILTERS
    }
    return made


_PLAIN: Final = _environment(escaping=False)
_HTML: Final = _environment(escaping=True)


def render(source: str, variables: Mapping[str, Any], *, html: bool, work: Work) -> str:
    """Return the source with the variables' values in place, escaped for HTML where `html` says so.

    `work` is shared by all texts of an email.

    Raises: TemplateError.
    """
    if "{{" not in source and "{%" not in source and "{#" not in source:
        return source
    names, template = _compile(source, html)
    missing = [name[:80] for name in names if name not in variables]
    if missing:
        raise TemplateError(f"{_listed(missing)} missing from variables")
    try:
        return _bounded(template.generate({**variables, _WORK: work}))
    except jinja2.UndefinedError as error:
        raise TemplateError(f"variables have no value for this: {error.message}") from error
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise error if isinstance(error, TemplateError) else TemplateError(str(error)) from error


def _bounded(parts: Iterator[str]) -> str:
    out: list[str] = []
    size = 0
    for part in parts:
        size += len(part)
        if size > MAX_OUTPUT:
            raise TemplateError(f"the rendered text is longer than {MAX_OUTPUT} characters")
        out.append(part)
    return "".join(out)


@lru_cache(maxsize=256)
def _compile(source: str, html: bool) -> tuple[tuple[str, ...], jinja2.Template]:
    """Return the names that must have a value, and the compiled template. Raises: TemplateError."""
    environment = _HTML if html else _PLAIN
    try:
        _refuse_what_is_slow_to_parse(source, environment)
        tree = environment.parse(source)
        required = tuple(dict.fromkeys(_required(tree)))
        return required, environment.from_string(tree)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(f"line {error.lineno}: {error.message}") from error
    except RecursionError as error:
        raise TemplateError("an expression is nested too deeply") from error
    except ValueError as error:
        raise error if isinstance(error, TemplateError) else TemplateError(str(error)) from error


def _refuse_what_is_slow_to_parse(source: str, environment: jinja2.Environment) -> None:
    """Count tokens, lazily: the parser's time grows with them, a megabyte of dots takes it seconds."""
    if source.count("{{") > MAX_EXPRESSIONS:
        raise TemplateError(f"there may be at most {MAX_EXPRESSIONS} expressions in one text")
    if _LONG_NUMBER.search(source):
        raise TemplateError("a number in this text is too long")
    for count, _ in enumerate(environment.lex(source)):
        if count > MAX_TOKENS:
            raise TemplateError("the expressions in this text are too long")


def _required(node: nodes.Node, filters: int = 0, optional: bool = False) -> Iterator[str]:
    """Yield the names the tree cannot do without, refusing whatever is not allowed in it."""
    if not isinstance(node, _ALLOWED):
        raise TemplateError(
            f"line {node.lineno}: {_word(node)} is not allowed; write {{{{ name }}}} or {{{{ a.b }}}}"
        )
    _refuse_hidden(node)
    if isinstance(node, nodes.Filter):
        filters += 1
        if node.name not in FILTERS:
            raise TemplateError(
                f"line {node.lineno}: there is no filter {node.name!r}; use {', '.join(sorted(FILTERS))}"
            )
        if filters > MAX_FILTERS:
            raise TemplateError(
                f"line {node.lineno}: there may be at most {MAX_FILTERS} filters on one value"
            )
        optional = optional or node.name in ("default", "d")
    if isinstance(node, nodes.Name) and not optional:
        yield node.name
    for child in node.iter_child_nodes():
        yield from _required(child, filters, optional)


def _refuse_hidden(node: nodes.Node) -> None:
    name: Any = None
    if isinstance(node, nodes.Name):
        name = node.name
    elif isinstance(node, nodes.Getattr):
        name = node.attr
    elif isinstance(node, nodes.Getitem):
        if not isinstance(node.arg, nodes.Const):
            raise TemplateError(
                f"line {node.lineno}: what stands in square brackets must be a number or a quoted name"
            )
        name = node.arg.value
    if isinstance(name, str) and name.startswith("_"):
        raise TemplateError(
            f"line {node.lineno}: {name!r} is not allowed: a name may not begin with an underscore"
        )
    if name in _RESERVED and isinstance(node, nodes.Name):
        raise TemplateError(f"line {node.lineno}: the name {name!r} means something else in templates")


def _word(node: nodes.Node) -> str:
    return {nodes.Call: "a call", nodes.CondExpr: "a condition", nodes.Keyword: "a named argument"}.get(
        type(node),
        f"a {type(node).__name__.lower()} statement" if isinstance(node, nodes.Stmt) else "an operator",
    )


def _listed(names: list[str]) -> str:
    return f"{', '.join(repr(name) for name in names)} {'is' if len(names) == 1 else 'are'}"
