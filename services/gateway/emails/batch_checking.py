"""The check of a batch's items: each as a send object is checked, in slices so short that other requests go on.

What an item's content comes to is packed at once, so that a batch holds packed bodies and no rendered ones;
items with equal content have one body between them.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

import msgspec

from services.gateway import errors, rendering_threads
from services.gateway.emails import attachments, draft, effort, fields, submitting
from services.gateway.emails.batch_fields import Form, Item
from services.gateway.emails.batch_verdicts import Refusals
from services.gateway.emails.repeats import UNCONFIRMED
from services.gateway.errors import PAYLOAD_TOO_LARGE, ApiError, Problem
from services.gateway.templates import budget
from services.gateway.templates.entries import Source
from services.gateway.templates.resolving import Resolver
from shared.events import email
from shared.runtime import batching

SLICE: Final = 0.0005  # a single send takes some turns of the loop, and each waits for a slice of every batch
LOOKUP_WITHIN: Final = 0.5
MOST_RENDERED: Final = 64 * 1024 * 1024
MOST_PACKED: Final = batching.MOST_BYTES // 4 * 3  # base64 makes three bytes four
_TOO_MUCH: Final = "the emails of the batch are too large together; nothing was sent: send it in several"
_REMEMBERED: Final = 16
_FILES: Final = "$.attachments"


class Pace:
    """How long a batch has kept the loop to itself: not much longer than a slice at a time."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    @property
    def is_over(self) -> bool:
        """Whether others should have their turn."""
        return time.perf_counter() - self._since > SLICE

    async def rest(self) -> None:
        """Let others work."""
        await asyncio.sleep(0)
        self._since = time.perf_counter()


class Checked(NamedTuple):
    """An item with its content taken out and packed; these mean something only if nothing is refused."""

    item: Item
    made: draft.Draft | None
    body: email.Body | None
    refused: Refusals


class Bodies:
    """Packs contents, equal ones once. Raises ApiError 413 when a batch renders to more than may be."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str | None, str | None], email.Body] = OrderedDict()
        self._rendered = 0
        self._packed = 0

    def packed(self, made: draft.Draft) -> email.Body:
        """Return the body: the same object for the same content, while it is remembered."""
        content = (made.html, made.text)
        body = self._known.get(content)
        if body is None:
            self._rendered += len(made.html or "") + len(made.text or "")
            if self._rendered > MOST_RENDERED:
                raise too_large(_TOO_MUCH)
            body = self._known[content] = submitting.packed(made)
            self._packed += len(body.packed or b"")
            if self._packed > MOST_PACKED:
                raise too_large(_TOO_MUCH)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return body


def too_large(message: str) -> ApiError:
    """Return the refusal of a batch that would become too much."""
    return ApiError(PAYLOAD_TOO_LARGE, message)


def shared_files(form: Form) -> tuple[tuple[attachments.File, ...], list[Problem]]:
    """Return the attachments that the items share, and what is wrong with them. Raises: ApiError 413. Pure."""
    send, problems = fields.read({"attachments": form.attachments})
    return attachments.read(send.attachments or (), _FILES, problems), problems


async def check(items: Sequence[Item], templates: Resolver) -> list[Checked]:
    """Return every item as checked, in order. Raises: ApiError 413, 503."""
    bodies, work, pace = Bodies(), budget.for_batch(), Pace()
    out = []
    known: tuple[object, ...] = ()
    length = 0
    for item in items:
        send, problems = fields.read(item.value, item.path)
        source = await _source(templates, send, item.path) if send.template_id is not None else None
        checker = draft.Checker(send, problems, item.path, work, source)
        texts = (send.subject, send.html, send.text, source, send.variables is None)
        if texts != known:  # mostly they are the shared ones, and not looked through again
            known, length = texts, effort.of_texts(send, source)
        if effort.is_large_with(length, send):
            out.append(await rendering_threads.run(partial(_checked, item, checker, bodies)))
        else:
            out.append(_checked(item, checker, bodies))
        if pace.is_over:
            await pace.rest()
    return out


async def _source(templates: Resolver, send: fields.Send, path: str) -> Source | Problem | None:
    try:
        async with asyncio.timeout(LOOKUP_WITHIN):
            return await templates.source(send, path)
    except TimeoutError:
        raise errors.unavailable(UNCONFIRMED) from None


def _checked(item: Item, checker: draft.Checker, bodies: Bodies) -> Checked:
    try:
        made = checker.draft()
    except ApiError as refusal:  # too many files: of one item, not of the request
        return Checked(item, None, None, Refusals(invalid=refusal.details))
    if checker.problems or checker.templates:
        invalid = tuple(map(item.place, checker.problems))
        template = tuple(map(item.place_in_template, checker.templates))
        return Checked(item, _without_content(made), None, Refusals(invalid, template))
    body = bodies.packed(made)
    return Checked(item, made if body.content is not None else _without_content(made), body, _FINE)


def _without_content(made: draft.Draft) -> draft.Draft:
    return msgspec.structs.replace(made, html=None, text=None)


_FINE: Final = Refusals()
