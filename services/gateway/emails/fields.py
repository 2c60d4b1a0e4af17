"""The send object as it stands in a request: its fields and their types, and what is wrong with them. Pure.

A good body is converted in one step. Only when that fails is it taken apart field by field, so that every
problem is told and not just the first.
"""

import re
from typing import Annotated, Any, Final

import msgspec

from services.gateway import validation
from services.gateway.emails.attachments import MAX_FILES, NewAttachment
from services.gateway.errors import Problem
from shared.mail import header

TEXTS: Final = "must be a string or an array of strings"
_EXPECTED: Final = {
    "to": TEXTS,
    "cc": TEXTS,
    "bcc": TEXTS,
    "reply_to": TEXTS,
    "headers": "must be an object of strings",
    "metadata": "must be an object of strings",
    "tags": "must be an array of strings",
    "variables": "must be an object",
    "tracking": "must be an object of booleans",
    "unsubscribe": "must be true or false",
    "template_version": "must be a whole number, 1 or more",
}
ALIAS: Final = re.compile(r"\A[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?\Z")


MAX_RECIPIENTS: Final = 50
MAX_LISTED: Final = 4 * MAX_RECIPIENTS  # in one field, before those that are there twice are taken out
_FEW: Final = 100
MAX_TAGS: Final = 10
MAX_TAG: Final = 64
MAX_PAIRS: Final = 50
MAX_KEY: Final = 255
MAX_VALUE: Final = 1024
# More than these are not looked into one by one.
_MOST: Final = {
    "to": MAX_LISTED,
    "cc": MAX_LISTED,
    "bcc": MAX_LISTED,
    "reply_to": MAX_RECIPIENTS,
    "tags": MAX_TAGS,
    "attachments": MAX_FILES,
}
# Told to clients only: the draft checks them, for it names every one that is wrong.
_TAGS: Final = msgspec.Meta(
    extra_json_schema={
        "maxItems": MAX_TAGS,
        "items": {"type": "string", "minLength": 1, "maxLength": MAX_TAG},
    }
)
_HEADERS: Final = msgspec.Meta(extra_json_schema={"maxProperties": header.MAX_HEADERS})
_REPLIES: Final = msgspec.Meta(extra_json_schema={"maxItems": MAX_RECIPIENTS})
_METADATA: Final = msgspec.Meta(
    extra_json_schema={
        "maxProperties": MAX_PAIRS,
        "propertyNames": {"minLength": 1, "maxLength": MAX_KEY},
        "additionalProperties": {"type": "string", "maxLength": MAX_VALUE},
    }
)


class Tracking(msgspec.Struct, forbid_unknown_fields=True):
    """Which signals the client asks for; what is absent is as the account has it."""

    opens: bool | None = None
    clicks: bool | None = None
    delivery: bool | None = None
    read: bool | None = None


class Send(msgspec.Struct, forbid_unknown_fields=True, rename={"from_": "from"}):
    """One email to send, as a client says it. `null` counts as absent."""

    to: str | list[str] | None = None
    cc: str | list[str] | None = None
    bcc: str | list[str] | None = None
    subject: str | None = None
    html: str | None = None
    text: str | None = None
    from_: str | None = None
    from_name: str | None = None
    reply_to: str | Annotated[list[str], _REPLIES] | None = None
    headers: Annotated[dict[str, str], _HEADERS] | None = None
    attachments: list[NewAttachment] | None = None
    variables: dict[str, Any] | None = None
    template_id: str | None = None
    template_version: Annotated[int, msgspec.Meta(ge=1)] | None = None
    scheduled_at: str | None = None
    expires_at: str | None = None
    smtp_account_id: str | None = None
    tracking: Tracking | None = None
    tags: Annotated[list[str], _TAGS] | None = None
    metadata: Annotated[dict[str, str], _METADATA] | None = None
    unsubscribe: bool | None = None


_FIELDS: Final = {field.encode_name: field for field in msgspec.structs.fields(Send)}


def read(value: Any, path: str = "$") -> tuple[Send, list[Problem]]:
    """Return what could be read of a decoded send object, and every field of it that could not."""
    try:
        return msgspec.convert(value, Send), []
    except msgspec.ValidationError:
        return _read_each(value, path)


def _read_each(value: Any, path: str) -> tuple[Send, list[Problem]]:
    if not isinstance(value, dict):
        return Send(), [Problem(path, "must be an object")]
    good: dict[str, Any] = {}
    problems: list[Problem] = []
    unknown: list[str] = []
    for name, given in value.items():
        field = _FIELDS.get(name)
        if field is None:
            unknown.append(name)
            continue
        try:
            good[field.name] = msgspec.convert(given, field.type)
        except msgspec.ValidationError:
            problems += _few(list(_wrong_parts(name, given, f"{path}.{name}")), f"{path}.{name}")
    problems += _few([Problem(member(path, name[:80]), "there is no such field") for name in unknown], path)
    return Send(**good), problems


def _few(problems: list[Problem], path: str) -> list[Problem]:
    """Return the problems of one place, cut to what somebody would read."""
    left = len(problems) - _FEW
    return problems if left <= 0 else [*problems[:_FEW], Problem(path, f"and {left} problems more")]


def _wrong_parts(name: str, given: Any, path: str) -> list[Problem]:
    expected = _EXPECTED.get(name, "must be a string")
    if isinstance(given, list) and len(given) > _MOST.get(name, len(given)):
        return [Problem(path, f"there may be at most {_MOST[name]} of them")]
    if name == "attachments":
        return list(validation.problems(given, list[NewAttachment], path))
    if isinstance(given, list) and "array" in expected:
        return [
            Problem(f"{path}[{n}]", "must be a string") for n, v in enumerate(given) if not isinstance(v, str)
        ]
    if isinstance(given, dict) and name == "tracking":
        return _wrong_signals(given, path)
    if isinstance(given, dict) and "object" in expected:
        return [
            Problem(member(path, key[:80]), "must be a string")
            for key, v in given.items()
            if not isinstance(v, str)
        ]
    return [Problem(path, expected)]


def _wrong_signals(given: dict[str, Any], path: str) -> list[Problem]:
    problems = []
    for key, value in given.items():
        if key not in Tracking.__struct_fields__:
            problems.append(Problem(member(path, key[:80]), "there is no such field"))
        elif not isinstance(value, bool | None):
            problems.append(Problem(member(path, key[:80]), "must be true or false"))
    return problems


def member(path: str, key: str) -> str:
    """Return the path of a member: `.name` where that is plain, else `["any name"]`."""
    if key.isascii() and key.isidentifier():
        return f"{path}.{key}"
    return f"{path}[{quoted(key)}]"


def quoted(key: str) -> str:
    """Return a key as a path names it: in double quotes, with whatever is invisible escaped."""
    return msgspec.json.encode(key).decode()
