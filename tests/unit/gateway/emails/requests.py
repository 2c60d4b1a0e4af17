"""What a client may send, as small as it gets, and what the checks say to it."""

from typing import Any

from services.gateway import json_body
from services.gateway.emails import draft, fields
from services.gateway.errors import Problem

GOOD: dict[str, Any] = {"to": "ann@world.test", "subject": "Welcome", "text": "Hello."}


def check(**changes: Any) -> tuple[draft.Draft, list[Problem], list[Problem]]:
    """Return the draft of a good request with these changes, its problems and its template problems."""
    given = {name: value for name, value in (GOOD | changes).items() if value is not ...}
    return check_value(given)


def check_value(value: Any) -> tuple[draft.Draft, list[Problem], list[Problem]]:
    send, problems = fields.read(value)
    checker = draft.Checker(send, problems)
    return checker.draft(), problems, checker.templates


def check_text(body: str) -> tuple[draft.Draft, list[Problem], list[Problem]]:
    """The same for a body as it stands on the wire."""
    return check_value(json_body.parse(body.encode()))


def paths(problems: list[Problem]) -> list[str]:
    return [problem.path for problem in problems]


def accepted(**changes: Any) -> draft.Draft:
    made, problems, templates = check(**changes)
    assert not problems
    assert not templates
    return made
