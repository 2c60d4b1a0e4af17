"""Variables, conditions and loops in subject, html and text: compiled once, rendered many times. Pure.

The template is a client's text and runs in our process. What it may say is decided by grammar, what it may cost
by budget; here its values are looked up in the client's own objects and nowhere else, and its output is bounded.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Final

import jinja2
from jinja2 import runtime, sandbox
from jinja2.utils import missing

from services.gateway.emails import substitution
from services.gateway.emails.substitution import Substitution
from services.gateway.templates import filters, grammar
from services.gateway.templates.budget import TemplateError, Work

__all__ = ["MAX_OUTPUT", "TemplateError", "Text", "Work", "compiled", "is_heavy", "render"]

MAX_OUTPUT: Final = 1024 * 1024
MAX_EXPRESSIONS: Final = 500
MAX_TOKENS: Final = 20_000
CACHED: Final = 16 * 1024 * 1024
_FEW: Final = 20
_LOOP: Final = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length"})
_LONG_NUMBER: Final = re.compile(r"(?<![\d_.])[\d_.]{1000}")
_OPEN_COMMENT: Final = (
    "a comment that begins with {# does not end with #}; in CSS, write a space between { and #"
)
_OPERATORS: Final = frozenset({"+", "-", "*", "/", "//", "%"})


class _Missing(jinja2.StrictUndefined):
    """A value the variables do not have: whatever is done with it but asking for it is the client's error."""

    @property
    def _undefined_message(self) -> str:
        if self._undefined_obj is missing:
            return f"{self._undefined_name!r} is missing from variables"
        return f"{str(self._undefined_name)!r} is missing in {filters.kind(self._undefined_obj)}"


class _Environment(sandbox.ImmutableSandboxedEnvironment):
    """A sandbox in which a dot looks into the client's object, and never at Python's attributes."""

    intercepted_binops = _OPERATORS
    intercepted_unops = frozenset({"-", "+"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if type(obj) is dict:
            if type(argument) is str and argument in obj:
                return obj[argument]
        elif type(obj) is list or type(obj) is tuple:
            if type(argument) is int and -len(obj) <= argument < len(obj):
                return obj[argument]
        elif isinstance(obj, runtime.LoopContext):
            if argument in _LOOP:
                return getattr(obj, argument)
        elif isinstance(obj, runtime.Undefined):
            return obj  # the first that is missing is the one to name
        return self.undefined(obj=obj, name=argument)

    def call_binop(self, context: runtime.Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            context[filters.WORK].charge(len(left) + len(right))
            return left + right
        return filters.number(
            super().call_binop(context, operator, filters.number(left), filters.number(right))
        )

    def call_unop(self, context: runtime.Context, operator: str, arg: Any) -> Any:
        return super().call_unop(context, operator, filters.number(arg))


def _environment(escaping: bool) -> _Environment:
    made = _Environment(
        autoescape=escaping,
        undefined=_Missing,
        finalize=filters.spelled,
        keep_trailing_newline=True,
        optimized=False,
    )
    made.globals.clear()
    made.filters = filters.made(escaping=escaping)
    made.tests = dict(filters.TESTS)
    return made


_PLAIN: Final = _environment(escaping=False)
_HTML: Final = _environment(escaping=True)


class Text:
    """A compiled text: `uses` are the variables it names, in order."""

    def __init__(
        self,
        template: jinja2.Template,
        uses: list[grammar.Use],
        spellings: dict[tuple[int, str], str],
        quick: Substitution | None,
    ) -> None:
        self.uses = tuple(uses)
        self._quick = quick
        self._template = template
        self._spellings = spellings
        required: dict[str, grammar.Use] = {}
        for use in uses:
            if use.is_required:
                required.setdefault(use.name, use)
        self._required = tuple(required.values())

    def render(self, variables: Mapping[str, Any], work: Work) -> str:
        """Return the text with the variables' values in place. Raises: TemplateError."""
        if self._quick is not None and (text := self._quick.render(variables)) is not None:
            return text
        absent = [use for use in self._required if use.name not in variables]
        if absent:
            raise TemplateError(
                *(f"line {use.line}: {use.name[:80]!r} is missing from variables" for use in absent)
            )
        context = self._template.new_context({**variables, filters.WORK: work}, shared=True)
        try:
            return _bounded(self._template.root_render_func(context))
        except jinja2.UndefinedError as error:
            raise TemplateError(self._told(error, self._missing(error))) from error
        except TypeError as error:
            raise TemplateError(self._told(error, _plain(str(error)))) from error
        except (jinja2.TemplateError, ValueError, ArithmeticError) as error:
            raise TemplateError(self._told(error, str(error))) from error

    def _missing(self, error: jinja2.UndefinedError) -> str:
        """Return what is missing with the whole way to it, where the template spells one."""
        said = error.message or "a value is missing"
        name = said[1:].partition("' is missing in ")
        whole = self._spellings.get((self._line(error) or 0, name[0])) if name[2] else None
        return f"{whole!r} is missing from variables" if whole else said

    def _told(self, error: Exception, message: str) -> str:
        line = self._line(error)
        return message if line is None else f"line {line}: {message}"

    def _line(self, error: Exception) -> int | None:
        line = None
        step: TracebackType | None = error.__traceback__
        while step is not None:
            if step.tb_frame.f_code.co_filename == "<template>":
                line = self._template.get_corresponding_lineno(step.tb_lineno)
            step = step.tb_next
        return line


class _Cache:
    """Compiled texts, the latest used ones; bounded by the length of their sources."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._texts: OrderedDict[tuple[str, bool], Text] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, bool]) -> Text | None:
        with self._lock:
            found = self._texts.get(key)
            if found is not None:
                self._texts.move_to_end(key)
            return found

    def put(self, key: tuple[str, bool], text: Text) -> None:
        with self._lock:
            if key not in self._texts:
                self._room -= len(key[0])
            self._texts[key] = text
            while self._room < 0:
                (source, _), _ = self._texts.popitem(last=False)
                self._room += len(source)


_cache: Final = _Cache(CACHED)


def is_template(source: str) -> bool:
    """Say whether there is anything in the text to render."""
    return "{{" in source or "{%" in source or "{#" in source


def is_heavy(source: str) -> bool:
    """Say whether compiling or rendering the text may take long enough that other requests would notice."""
    return "{%" in source or source.count("{{") > _FEW


def render(source: str, variables: Mapping[str, Any], *, html: bool, work: Work) -> str:
    """Return the source with the variables' values in place, escaped for HTML where `html` says so.

    `work` is shared by all texts of an email.

    Raises: TemplateError.
    """
    found = _cache.get((source, html))
    if found is None:
        if not is_template(source):
            return source
        found = compiled(source, html=html)
    return found.render(variables, work)


def compiled(source: str, *, html: bool) -> Text:
    """Return the text compiled, from memory if it was lately. Raises: TemplateError."""
    key = (source, html)
    found = _cache.get(key)
    if found is None:
        found = _compile(source, _HTML if html else _PLAIN)
        _cache.put(key, found)
    return found


def _bounded(parts: Iterator[str]) -> str:
    out: list[str] = []
    size = 0
    for part in parts:
        size += len(part)
        if size > MAX_OUTPUT:
            raise TemplateError(f"the rendered text is longer than {MAX_OUTPUT} characters")
        out.append(part)
    return "".join(out)


def _compile(source: str, environment: _Environment) -> Text:
    try:
        _refuse_what_is_slow_to_parse(source, environment)
        tree = environment.parse(source)
        uses = grammar.check(tree)
        spellings = grammar.spellings(tree)
        quick = substitution.found_in(tree, escaping=environment is _HTML, most=MAX_OUTPUT)
        grammar.charge(tree)
        return Text(environment.from_string(tree), uses, spellings, quick)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(
            f"line {error.lineno}: {_hinted(error.message or 'it cannot be read')}"
        ) from error
    except (RecursionError, SyntaxError) as error:
        raise TemplateError("an expression is nested too deeply") from error
    except ValueError as error:
        raise error if isinstance(error, TemplateError) else TemplateError(str(error)) from error


def _plain(message: str) -> str:
    """Return Python's words for values of the wrong kind as a client understands them."""
    if "argument" in message:
        return "a filter or test does not take its arguments like this"
    if "not supported between" in message:
        return "values of different kinds cannot be compared"
    return message


def _hinted(message: str) -> str:
    if "end of comment" in message:
        return _OPEN_COMMENT
    return message[0].lower() + message[1:]


def _refuse_what_is_slow_to_parse(source: str, environment: jinja2.Environment) -> None:
    """Count tokens, lazily: the parser's time grows with them, a megabyte of dots takes it seconds."""
    if source.count("{{") + source.count("{%") > MAX_EXPRESSIONS:
        raise TemplateError(f"there may be at most {MAX_EXPRESSIONS} expressions and statements in one text")
    if _LONG_NUMBER.search(source):
        raise TemplateError("a number in this text is too long")
    last = ""
    for count, token in enumerate(environment.lex(source)):
        last = token[1]
        if count > MAX_TOKENS:
            raise TemplateError("the expressions in this text are too long")
    if last == "comment_begin":
        raise TemplateError(f"line {source.count(chr(10)) + 1}: {_OPEN_COMMENT}")
