"""The body of a batch as it stands in a request: its two forms, and the send object that each item comes to. Pure.

An item of `recipients` is the shared object with the item's own fields laid over it, so every later stage
sees send objects only. A problem is told where the client wrote what is wrong: at the item, or once at the top.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec

from services.gateway.emails import fields
from services.gateway.errors import Problem

MOST: Final = 1000
Mode = Literal["atomic", "partial"]
_MODES: Final = ("atomic", "partial")
_EMAILS: Final = frozenset({"emails", "mode"})
_RECIPIENTS: Final = frozenset({"recipients", "mode"})
_RENDERED: Final = frozenset({"subject", "html", "text"})
_BRACES: Final = "{{"
_VALUES: Final = (
    "variables"  # the word in every complaint about values, rather than about the template itself
)
_SEND: Final = frozenset(field.encode_name for field in msgspec.structs.fields(fields.Send))


class Item(NamedTuple):
    """One send object; `own` are the fields the client wrote at the item's own place (None: all of them)."""

    number: int
    path: str
    value: Any
    own: frozenset[str] | None = None

    @property
    def shares_files(self) -> bool:
        """Whether the item has the attachments that stand beside `recipients`."""
        return self.own is not None and "attachments" not in self.own

    def place(self, problem: Problem) -> Problem:
        """Return the problem at the place where the client wrote what causes it."""
        if self.own is None:
            return problem
        rest = problem.path.removeprefix(self.path)
        name = rest.lstrip(".").partition(".")[0].partition("[")[0]
        if not name or name in self.own or name == "to":
            return problem
        if name == "variables" and isinstance(self.value.get("variables", {}), dict):
            return problem  # not about what is shared, but about what this item does not add to it
        if name in _RENDERED and _BRACES in str(self.value.get(name, "")):
            return Problem(f"{self.path}.variables", f"{name}: {problem.message}")
        return Problem(f"${rest}", problem.message)

    def place_in_template(self, problem: Problem) -> Problem:
        """Return a template's problem: at the item's variables when they lack something, else at the template."""
        if _VALUES in problem.message:
            return self.place(problem)
        if self.own is None or problem.path.removeprefix(f"{self.path}.") in self.own:
            return problem
        return Problem(f"${problem.path.removeprefix(self.path)}", problem.message)


class Form(NamedTuple):
    """A batch that can be taken apart: what its items are is not checked yet."""

    mode: Mode
    items: list[Item]
    attachments: Any = None  # those that the items share: looked at and stored once


def read(value: Any) -> tuple[Form, list[Problem]]:
    """Return the items of a decoded body, and what is wrong with the batch as a whole."""
    if not isinstance(value, dict):
        return Form("atomic", []), [Problem("$", "must be an object")]
    given = {name: member for name, member in value.items() if member is not None}
    mode = given.get("mode", "atomic")
    problems = [] if mode in _MODES else [Problem("$.mode", "must be atomic or partial")]
    if ("emails" in given) == ("recipients" in given):
        return Form("atomic", []), [
            *problems,
            Problem("$", "must have either emails, or recipients beside the fields they share"),
        ]
    name = "emails" if "emails" in given else "recipients"
    items = given[name]
    problems += _wrong_items(name, items)
    problems += _unknown(given, _EMAILS if name == "emails" else _RECIPIENTS | _SEND - {"to"})
    if problems:
        return Form("atomic", []), problems
    if name == "emails":
        return Form(mode, _whole(items)), []
    return Form(mode, _merged(items, given), given.get("attachments")), []


def _wrong_items(name: str, items: Any) -> list[Problem]:
    if not isinstance(items, list):
        return [Problem(f"$.{name}", "must be an array of objects")]
    if not items:
        return [Problem(f"$.{name}", "must not be empty")]
    if len(items) > MOST:
        return [Problem(f"$.{name}", f"may have at most {MOST} items")]
    return []


def _unknown(given: Iterable[str], known: frozenset[str]) -> list[Problem]:
    said = "belongs into each of recipients" if "recipients" in known else "belongs into each of emails"
    return [
        Problem(fields.member("$", name[:80]), said if name in _SEND else "there is no such field")
        for name in given
        if name not in known
    ]


def _whole(items: list[Any]) -> list[Item]:
    return [Item(index, f"$.emails[{index}]", value) for index, value in enumerate(items)]


def _merged(items: list[Any], given: dict[str, Any]) -> list[Item]:
    apart = _RECIPIENTS | {"attachments"}
    shared = {name: value for name, value in given.items() if name not in apart}
    shared.setdefault("variables", {})
    return [_over(shared, index, own) for index, own in enumerate(items)]


def _over(shared: dict[str, Any], index: int, own: Any) -> Item:
    """Lay an item's fields over the shared ones; of variables, only those that it names itself."""
    path = f"$.recipients[{index}]"
    if not isinstance(own, dict):
        return Item(index, path, own)
    if None in own.values():
        own = {name: value for name, value in own.items() if value is not None}
    merged = shared | own
    if (
        shared["variables"]
        and isinstance(own.get("variables"), dict)
        and isinstance(shared["variables"], dict)
    ):
        merged["variables"] = shared["variables"] | own["variables"]
    return Item(index, path, merged, frozenset(own))


class Recipient(fields.Send, forbid_unknown_fields=True):
    """One item beside shared fields: whatever it has replaces the shared one; of `variables`, those it names."""


_SHARED: Final = [
    (field.name, field.type, msgspec.field(default=field.default, name=field.encode_name))
    for field in msgspec.structs.fields(fields.Send)
    if field.name != "to"
]
_FORMS: Final = {"oneOf": [{"required": ["emails"]}, {"required": ["recipients"]}]}
Shared: Final = msgspec.defstruct(
    "Batch",
    [
        ("emails", list[fields.Send] | None, None),
        ("recipients", list[Recipient] | None, None),
        ("mode", Mode | None, None),
        *_SHARED,
    ],
    forbid_unknown_fields=True,
)
Body: Final = Annotated[Shared, msgspec.Meta(extra_json_schema=_FORMS)]
