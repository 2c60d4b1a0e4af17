"""What an HTML body gets for being tracked: its links lead through the tracker, and a pixel stands at its end.

Made from the accepted email alone, so every attempt and every look at it gives equal bytes. A link that works
only once is none to be followed by a scanner first, so accounts may have such links left alone.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from shared.events.email import Email, Tracker
from shared.mail import links, urls
from shared.runtime.tokens import Pointer, Tokens

MAX_URL: Final = 2000  # longer ones are left alone: with a token around them some clients would cut them
_ONE_TIME: Final = (
    "reset", "verif", "confirm", "activat", "token", "magic", "one-time", "onetime", "otp", "passw", "invit", "login",
    "signin", "sign-in", "unsubscribe",
)  # fmt: skip


class Origin(NamedTuple):
    """Whose email it is and which, and what signs for it: all that the accepted email does not say itself."""

    tokens: Tokens
    workspace: str
    email_id: str


def instrumented(html: str, email: Email, origin: Origin) -> str:
    """Return the HTML with its links and its pixel, as far as this email asks for them."""
    tracker, wanted = email.tracker, email.tracking
    if tracker is None or not (wanted.opens or wanted.clicks):
        return html
    place = 0 if len(email.recipients()) == 1 else None  # a body that several get names nobody
    base, key_id = tracker.url.rstrip("/"), origin.tokens.usable(tracker.key_id)
    head = Pointer(origin.workspace, origin.email_id, place).encoded()
    click = f"{base}/t/c/"

    def replace(link: links.Link) -> str | None:
        target = targets(link)
        if target is None:
            return None
        return click + origin.tokens.sign("click", head + target.encode(), key_id=key_id)

    targets = _targets(tracker) if wanted.clicks else _no_target
    pixel = ""
    if wanted.opens:
        source = f"{base}/t/o/{origin.tokens.sign('open', head, key_id=key_id)}.gif"
        pixel = f'<img src="{source}" width="1" height="1" alt="" style="border:0;width:1px;height:1px">'
    return links.rewritten(html.encode("utf-8", "replace"), replace, pixel.encode()).decode()


def followed(html: str, email: Email) -> list[str]:
    """Return the links of this email that lead through the tracker, as its HTML has them."""
    if email.tracker is None or not email.tracking.clicks:
        return []
    targets = _targets(email.tracker)
    found = links.found(html.encode("utf-8", "replace")).links
    return [link.url for link in found if targets(link) is not None]


def _targets(tracker: Tracker) -> Callable[[links.Link], str | None]:
    """Return what says where a link leads once it was followed; None for one that is left alone."""
    own = tracker.url.rstrip("/") + "/"

    def target(link: links.Link) -> str | None:
        if len(link.url) > MAX_URL or link.url.startswith(own):
            return None
        if tracker.leave_one_time and any(map(link.url.lower().__contains__, _ONE_TIME)):
            return None
        return urls.requested(link.url)

    return target


def _no_target(_: links.Link) -> None:
    return None
