"""What an HTML body gets for being tracked: its links lead through the tracker, and a pixel stands at its end.

Made from the accepted email alone, so every attempt and every look at it gives equal bytes. A link that works
only once is none to be followed by a scanner first, so accounts may have such links left alone.
"""

import re
from typing import Final

from shared.events.email import Email
from shared.mail import links
from shared.runtime.tokens import Pointer, Tokens

MAX_URL: Final = 2000  # longer ones are left alone: with a token around them some clients would cut them
_ONE_TIME: Final = re.compile(
    r"reset|verif|confirm|activat|token|magic|one-?time|otp|passw|invit|login|signin|sign-in|unsubscribe",
    re.IGNORECASE,
)


def instrumented(html: str, email: Email, tokens: Tokens, workspace: str, email_id: str) -> str:
    """Return the HTML with its links and its pixel, as far as this email asks for them.

    Raises: KeyringError when the key it was accepted under is gone.
    """
    tracker, wanted = email.tracker, email.tracking
    if tracker is None or not (wanted.opens or wanted.clicks):
        return html
    place = 0 if len(email.recipients()) == 1 else None  # a body that several get names nobody
    base = tracker.url.rstrip("/")

    def token(kind: str, extra: bytes = b"") -> str:
        payload = Pointer(workspace, email_id, place, extra).encoded()
        return tokens.sign("open" if kind == "open" else "click", payload, key_id=tracker.key_id)

    def replace(link: links.Link) -> str | None:
        if not wanted.clicks or len(link.url) > MAX_URL or link.url.startswith(f"{base}/"):
            return None
        if tracker.leave_one_time and _ONE_TIME.search(link.url):
            return None
        return f"{base}/t/c/{token('click', link.url.encode())}"

    pixel = ""
    if wanted.opens:
        source = f"{base}/t/o/{token('open')}.gif"
        pixel = f'<img src="{source}" width="1" height="1" alt="" style="border:0;width:1px;height:1px">'
    return links.rewritten(html.encode("utf-8", "replace"), replace, pixel.encode()).decode()
