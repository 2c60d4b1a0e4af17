"""Owns what a template may say: names, attributes, items, conditions, loops, comparisons, arithmetic, filters. Pure.

The tree that jinja parsed is walked: whatever is not listed is refused, with its line. Then loops and comparisons
are rewritten so that what they cost is charged before they run; nothing a client writes can name those filters.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from jinja2 import nodes

from services.gateway.templates import filters
from services.gateway.templates.budget import TemplateError, listed

MAX_FILTERS: Final = 5
MAX_DEPTH: Final = 60
MAX_BLOCKS: Final = 10
_RESERVED: Final = frozenset({"self", "super", "caller", "loop", "varargs", "kwargs"})
_ALLOWED: Final = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For,
    nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const, nodes.List, nodes.Tuple,
    nodes.Filter, nodes.Test, nodes.Keyword, nodes.CondExpr, nodes.Compare, nodes.Operand,
    nodes.And, nodes.Or, nodes.Not, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod,
    nodes.Neg, nodes.Pos,
)  # fmt: skip
_WORDS: Final[dict[type[nodes.Node], str]] = {
    nodes.Call: "a call",
    nodes.Concat: "the operator ~",
    nodes.Pow: "the operator **",
    nodes.Slice: "a slice",
    nodes.Dict: "an object in braces",
    nodes.Assign: "set",
    nodes.AssignBlock: "set",
    nodes.Macro: "macro",
    nodes.Include: "include",
    nodes.Import: "import",
    nodes.FromImport: "import",
    nodes.Extends: "extends",
    nodes.Block: "block",
}


class Use(NamedTuple):
    """A variable that a text names, and whether it cannot be rendered without it."""

    name: str
    line: int
    is_required: bool


class _Place(NamedTuple):
    """Where in the tree the walk is."""

    depth: int = 0
    blocks: int = 0
    filters: int = 0
    is_optional: bool = False
    bound: frozenset[str] = frozenset()

    def deeper(self, node: nodes.Node) -> "_Place":
        if self.depth >= MAX_DEPTH:
            raise TemplateError(f"line {node.lineno}: an expression is nested too deeply")
        return self._replace(depth=self.depth + 1)

    def optional(self) -> "_Place":
        return self._replace(is_optional=True)


def check(tree: nodes.Template) -> list[Use]:
    """Return every use of a variable in the tree, in order. Raises: TemplateError."""
    return list(_uses(tree, _Place()))


def _uses(node: nodes.Node, place: _Place) -> Iterator[Use]:
    if not isinstance(node, _ALLOWED):
        line = f"line {node.lineno}: " if node.lineno else ""
        raise TemplateError(f"{line}{_word(node)} is not allowed in templates")
    place = place.deeper(node)
    if isinstance(node, nodes.For):
        yield from _in_loop(node, place)
    elif isinstance(node, nodes.If):
        yield from _in_condition(node, place)
    elif isinstance(node, nodes.Name):
        _refuse_name(node, place)
        if node.name not in place.bound:
            yield Use(node.name, node.lineno, not place.is_optional)
    elif isinstance(node, nodes.Filter | nodes.Test):
        yield from _in_filter(node, place)
    elif isinstance(node, nodes.And | nodes.Or | nodes.CondExpr):
        yield from _in_choice(node, place)
    else:
        _refuse_hidden(node)
        for child in node.iter_child_nodes():
            yield from _uses(child, place)


def _in_choice(node: nodes.And | nodes.Or | nodes.CondExpr, place: _Place) -> Iterator[Use]:
    first = node.test if isinstance(node, nodes.CondExpr) else node.left
    rest = (node.expr1, node.expr2) if isinstance(node, nodes.CondExpr) else (node.right,)
    yield from _uses(first, place)
    for branch in rest:
        if branch is not None:
            yield from _uses(branch, place.optional())


def _in_loop(node: nodes.For, place: _Place) -> Iterator[Use]:
    if node.recursive:
        raise TemplateError(f"line {node.lineno}: a recursive loop is not allowed in templates")
    place = _in_block(node, place)
    yield from _uses(node.iter, place)
    inner = place.optional()
    targets = list(_targets(node.target))
    inner = inner._replace(bound=inner.bound.union(targets))
    if node.test is not None:
        yield from _uses(node.test, inner)
    for child in node.body:
        yield from _uses(child, inner._replace(bound=inner.bound | {"loop"}))
    for child in node.else_:
        yield from _uses(child, place.optional())


def _targets(target: nodes.Node) -> Iterator[str]:
    """Yield the names a loop binds."""
    if isinstance(target, nodes.Name):
        _refuse_name(target, _Place())
        yield target.name
    elif isinstance(target, nodes.Tuple) and all(isinstance(item, nodes.Name) for item in target.items):
        for item in target.items:
            yield from _targets(item)
    else:
        raise TemplateError(f"line {target.lineno}: a loop gives its items one or several plain names")


def _in_condition(node: nodes.If, place: _Place) -> Iterator[Use]:
    place = _in_block(node, place)
    yield from _uses(node.test, place)
    for child in (*node.body, *node.else_):
        yield from _uses(child, place.optional())
    for other in node.elif_:
        yield from _uses(other, place.optional()._replace(blocks=place.blocks - 1))


def _in_block(node: nodes.Node, place: _Place) -> _Place:
    if place.blocks >= MAX_BLOCKS:
        raise TemplateError(f"line {node.lineno}: conditions and loops may stand {MAX_BLOCKS} deep at most")
    return place._replace(blocks=place.blocks + 1)


def _in_filter(node: nodes.Filter | nodes.Test, place: _Place) -> Iterator[Use]:
    is_filter = isinstance(node, nodes.Filter)
    known = filters.NAMES if is_filter else filters.TESTS.keys()
    if node.name not in known:
        what = "filter" if is_filter else "test"
        raise TemplateError(f"line {node.lineno}: there is no {what} {node.name!r}; use {listed(known)}")
    if node.dyn_args is not None or node.dyn_kwargs is not None or node.node is None:
        raise TemplateError(f"line {node.lineno}: {node.name} does not take its arguments like this")
    if is_filter:
        place = place._replace(filters=place.filters + 1)
        if place.filters > MAX_FILTERS:
            raise TemplateError(
                f"line {node.lineno}: there may be at most {MAX_FILTERS} filters on one value"
            )
    may_lack = node.name in ("default", "d", "defined", "undefined")
    yield from _uses(node.node, place.optional() if may_lack else place)
    for argument in (*node.args, *node.kwargs):
        yield from _uses(argument, place.optional() if may_lack else place)


def _refuse_name(node: nodes.Name, place: _Place) -> None:
    if node.name in _RESERVED and node.name not in place.bound:
        raise TemplateError(f"line {node.lineno}: the name {node.name!r} means something else in templates")
    _refuse_underscore(node.name, node.lineno)


def _refuse_hidden(node: nodes.Node) -> None:
    if isinstance(node, nodes.Getattr):
        _refuse_underscore(node.attr, node.lineno)
    elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        _refuse_underscore(node.arg.value, node.lineno)


def _refuse_underscore(name: Any, line: int) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise TemplateError(f"line {line}: {name!r} is not allowed: a name may not begin with an underscore")


def _word(node: nodes.Node) -> str:
    found = next((word for kind, word in _WORDS.items() if isinstance(node, kind)), None)
    return found or ("such a statement" if isinstance(node, nodes.Stmt) else "such an expression")


def charge(node: nodes.Node) -> None:
    """Rewrite a checked tree in place, so that loops and comparisons say first what they will cost."""
    for child in node.iter_child_nodes():
        charge(child)
    if isinstance(node, nodes.For):
        body = [*node.body, *([node.test] if node.test is not None else [])]
        node.iter = _through(filters.LOOP, node.iter, [nodes.Const(sum(map(_weight, body)))])
    elif isinstance(node, nodes.Compare):
        node.expr = _through(filters.SCALAR, node.expr)
        for operand in node.ops:
            name = filters.SEARCHED if operand.op in ("in", "notin") else filters.SCALAR
            operand.expr = _through(name, operand.expr)


def _through(name: str, node: nodes.Node, arguments: list[nodes.Expr] | None = None) -> nodes.Filter:
    assert isinstance(node, nodes.Expr)
    return nodes.Filter(node, name, arguments or [], [], None, None, lineno=node.lineno)


def _weight(node: nodes.Node) -> int:
    return 1 + sum(map(_weight, node.iter_child_nodes()))


def spellings(tree: nodes.Node) -> dict[tuple[int, str], str]:
    """Return for each attribute and its line how the template spells the whole way to it, such as `order.id`."""
    found: dict[tuple[int, str], str] = {}
    for node in tree.find_all((nodes.Getattr, nodes.Getitem)):
        spelled, last = _spelled(node), _last(node)
        if spelled and last:
            found.setdefault((node.lineno, last), spelled)
    return found


def _last(node: nodes.Node) -> str | None:
    if isinstance(node, nodes.Getattr):
        return node.attr
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        return str(node.arg.value)
    return None


def _spelled(node: nodes.Node) -> str | None:
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr | nodes.Getitem):
        before, last = _spelled(node.node), _last(node)
        if before and last:
            return f"{before}[{last}]" if last.isdigit() else f"{before}.{last}"
    return None
