"""How much there is to do about a send object: what may take long is done in a thread. Pure.

A request that keeps the loop for some tenths of a second is a wait for every other one.
"""

from typing import Any, Final

from services.gateway.emails import fields, rendering
from services.gateway.errors import Problem
from services.gateway.templates.entries import Source

LARGE: Final = 64 * 1024
_MANY: Final = 10  # addresses: one in other letters than ASCII's is looked at for 0.1 ms
_VALUE: Final = 8  # what a value counts as besides its text, in characters


def is_large(send: fields.Send, source: Source | Problem | None = None) -> bool:
    """Say whether checking this object may take long enough that other requests would notice."""
    return is_large_with(of_texts(send, source), send)


def is_large_with(texts: int, send: fields.Send) -> bool:
    """Say the same when it is known what the texts alone come to."""
    addresses = 0
    for one in (send.to, send.cc, send.bcc, send.reply_to):
        if type(one) is list:
            addresses += len(one)
    if addresses > _MANY or len(send.headers or ()) > _MANY:
        return True
    return texts > LARGE or (send.variables is not None and _reaches(send.variables, LARGE - texts))


def of_texts(send: fields.Send, source: Source | Problem | None = None) -> int:
    """Return how long the texts are; over the limit also when they are heavy to render."""
    texts = [send.subject, send.html, send.text]
    if isinstance(source, Source):
        texts += [source.texts.subject, source.texts.html, source.texts.text]
    size = sum(len(text) for text in texts if text)
    if send.variables is None and send.template_id is None:
        return size
    if isinstance(source, Source) and source.texts.css_inline:
        return LARGE + 1
    return LARGE + 1 if any(rendering.is_heavy(text) for text in texts if text) else size


def _reaches(value: Any, size: int) -> bool:
    """Say whether a JSON value is longer than this, looking no further than needed to know."""
    waiting = [value]
    while waiting and size >= 0:
        item = waiting.pop()
        size -= _VALUE
        if type(item) is str:
            size -= len(item)
        elif type(item) is list:
            waiting.extend(item)
        elif type(item) is dict:
            size -= sum(map(len, item))
            waiting.extend(item.values())
    return size < 0
