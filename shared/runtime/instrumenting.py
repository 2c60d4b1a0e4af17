"""What an HTML body gets for being tracked: its links lead through the tracker, and a pixel stands at its end.

Made from the accepted email alone, so every attempt and every look at it gives equal bytes. A link that works
only once is none to be followed by a scanner first, so accounts may have such links left alone.
"""

from html import escape
from typing import Final, NamedTuple

from shared.events.email import Email, Tracker
from shared.mail import links
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
    base, key_id = escape(tracker.url.rstrip("/")), origin.tokens.usable(tracker.key_id)
    head = Pointer(origin.workspace, origin.email_id, place).encoded()
    found = links.found(html)
    targets = _targets(found, tracker) if wanted.clicks else [None] * len(found.links)
    clicks = iter(
        origin.tokens.sign_all("click", head, [target.encode() for target in targets if target], key_id)
    )
    values = [f"{base}/t/c/{next(clicks)}" if target else None for target in targets]
    pixel = ""
    if wanted.opens:
        source = f"{base}/t/o/{origin.tokens.sign('open', head, key_id=key_id)}.gif"
        pixel = f'<img src="{source}" width="1" height="1" alt="" style="border:0;width:1px;height:1px">'
    return links.rewritten(html, found, values, pixel)


def followed(html: str, email: Email) -> list[str]:
    """Return the links of this email that lead through the tracker, as its HTML has them."""
    if email.tracker is None or not email.tracking.clicks:
        return []
    found = links.found(html)
    targets = _targets(found, email.tracker)
    return [link.url for link, target in zip(found.links, targets, strict=True) if target]


def _targets(found: links.Found, tracker: Tracker) -> list[str | None]:
    """Return where each link leads once it was followed; None for one that is left alone."""
    own = tracker.url.rstrip("/") + "/"
    targets = []
    for link in found.links:
        url = link.url
        # In a token stands what is asked for: outside ASCII that is up to twelve times as long as it is written.
        is_left = len(url) > MAX_URL or len(link.target or "") > MAX_URL or url.startswith(own)
        if tracker.leave_one_time:
            is_left = is_left or any(map(url.lower().__contains__, _ONE_TIME))
        targets.append(None if is_left else link.target)
    return targets
