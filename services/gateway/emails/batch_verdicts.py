"""What is said about a batch: which items are refused and why, and the answer to the whole. Pure.

An atomic batch is refused with every item's problems at once; a partial one has each refusal in its place, and
it remembers them in words short enough to travel with an email.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from services.gateway import errors, identifiers
from services.gateway.emails import presentation, times
from services.gateway.emails.batch_fields import Item
from services.gateway.errors import ApiError, Problem
from services.gateway.request import Reply
from shared.events import email
from shared.events.base import EmailId, WorkspaceId
from shared.mail import address
from shared.mail.address import Mailbox

MOST_PROBLEMS: Final = 1000
MOST_OF_ONE: Final = 20
_SHORT: Final = 300
_MESSAGES: Final = {
    errors.VALIDATION_ERROR: "the item is not valid; see details",
    errors.TEMPLATE_ERROR: "a template cannot be rendered; see details",
    errors.SMTP_ACCOUNT_REQUIRED: "no SMTP account may send this; see details",
}


Addressed: TypeAlias = str | list[str]


class Wrong(msgspec.Struct, frozen=True):
    """Why an item of a partial batch was not accepted."""

    code: str
    message: str
    details: tuple[Problem, ...] | UnsetType = UNSET


class Result(msgspec.Struct, frozen=True):
    """What became of one item: `id`, `status`, `to` when it was accepted, else `index`, `status`, `error`."""

    index: int | UnsetType = UNSET
    id: str | UnsetType = UNSET
    status: Literal["queued", "scheduled", "rejected"] = "queued"
    to: str | list[str] | UnsetType = UNSET
    error: Wrong | UnsetType = UNSET


class Meta(msgspec.Struct, frozen=True):
    """How many items there were, and the `batch_id` that lists the accepted ones (null when there are none)."""

    total: int
    accepted: int
    rejected: int
    batch_id: str | None


class Refusals(NamedTuple):
    """Everything that is wrong with one item, kind by kind."""

    invalid: tuple[Problem, ...] = ()
    template: tuple[Problem, ...] = ()
    account: tuple[Problem, ...] = ()

    @property
    def code(self) -> str:
        """The error code of the whole: a kind of its own only where there is no other."""
        kinds = [
            (errors.VALIDATION_ERROR, self.invalid),
            (errors.TEMPLATE_ERROR, self.template),
            (errors.SMTP_ACCOUNT_REQUIRED, self.account),
        ]
        there = [code for code, problems in kinds if problems]
        return there[0] if len(there) == 1 else errors.VALIDATION_ERROR


def batch_id(workspace: WorkspaceId, key: str | None) -> str:
    """Return the batch's id: derived from the key if there is one, else fresh."""
    return identifiers.fresh() if key is None else identifiers.keyed(workspace, key, "batch")


def ids(workspace: WorkspaceId, key: str | None, indexes: Sequence[int]) -> dict[int, EmailId]:
    """Return an id for each accepted item: fresh, or derived from the key so that a repeat has the same.

    The first of them has the id that the key names by itself, so that the log's guard keeps every two requests
    under one key apart, whatever they are.
    """
    return dict(zip(indexes, each_id(workspace, key, indexes), strict=True))


def each_id(workspace: WorkspaceId, key: str | None, indexes: Sequence[int]) -> Iterator[EmailId]:
    """Yield the ids of `ids` one by one, in order."""
    for number, index in enumerate(indexes):
        if key is None:
            yield identifiers.fresh()
        else:
            yield identifiers.keyed(workspace, key, "" if number == 0 else str(index))


def refusal(refused: Iterable[Refusals]) -> ApiError | None:
    """Return the refusal of an atomic batch with every item's problems, or None if there are none."""
    found = [
        tuple(dict.fromkeys(problem for kind in kinds for problem in kind))
        for kinds in zip(*refused, strict=True)
    ]
    whole = Refusals(*found)
    problems = [*whole.invalid, *whole.template, *whole.account]
    if not problems:
        return None
    left = len(problems) - MOST_PROBLEMS
    if left > 0:
        problems[MOST_PROBLEMS:] = [Problem("$", f"and {left} problems more")]
    message = "the request is not valid; see details"
    return ApiError(
        whole.code, message if whole.code == errors.VALIDATION_ERROR else _MESSAGES[whole.code], problems
    )


def rejections(refused: Mapping[int, Refusals]) -> tuple[email.Rejection, ...]:
    """Return what is told of each refused item, cut to what the first accepted one can carry."""
    out = []
    left = MOST_PROBLEMS
    for index, one in sorted(refused.items()):
        code = one.code
        problems = [*one.invalid, *one.template, *one.account][: min(MOST_OF_ONE, left)]
        left -= len(problems)
        details = tuple((_short(problem.path), _short(problem.message)) for problem in problems)
        out.append(email.Rejection(index, code, _MESSAGES[code], details))
    return tuple(out)


def _short(text: str) -> str:
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}…"


def answer(
    items: Sequence[Item],
    ids_: Mapping[int, EmailId],
    addressed: Mapping[int, Addressed],
    rejected: Sequence[email.Rejection],
    accepted_at: datetime,
    batch: str | None,
) -> Reply:
    """Return what the client is told, in its order; `addressed` is whom each accepted item is to."""
    refused = {one.index: one for one in rejected}
    data = [
        _rejected(refused[item.number])
        if item.number in refused
        else _accepted(item, ids_[item.number], addressed[item.number], accepted_at)
        for item in items
    ]
    return Reply(data, meta=Meta(len(items), len(items) - len(refused), len(refused), batch))


def _rejected(one: email.Rejection) -> Result:
    details = tuple(Problem(path, message) for path, message in one.details) or UNSET
    return Result(index=one.index, status="rejected", error=Wrong(one.code, one.message, details))


def _accepted(item: Item, email_id: EmailId, to: Addressed, accepted_at: datetime) -> Result:
    scheduled_at = item.value.get("scheduled_at")
    waits = scheduled_at is not None and times.parse(scheduled_at) > accepted_at
    return Result(id=email_id, status="scheduled" if waits else "queued", to=to)


def addressed(to: str | list[str]) -> Addressed:
    """Return whom an accepted email is to, of what the client wrote: each once, a string if given as one.

    For repeats only: reading an address takes 0.1 ms if it is not in ASCII.
    """
    if isinstance(to, str):
        return presentation.mailbox(address.parse(to))
    once: dict[str, Mailbox] = {}
    for mailbox in map(address.parse, to):
        once.setdefault(address.normalised(mailbox.address), mailbox)
    return [presentation.mailbox(mailbox) for mailbox in once.values()]
