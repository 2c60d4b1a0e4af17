"""Owns the address by which a recipient unsubscribes: made when the email is accepted, so it is in every attempt.

It names the recipient only where there is one: several share the message, and each could unsubscribe the others.
"""

import re
from typing import Final

import msgspec

from services.gateway.emails.repeats import Claim
from services.gateway.request import Services
from shared.events import email, submission
from shared.runtime import handles
from shared.runtime.tokens import Pointer

# Stands in a header between angle brackets and has a path put behind it.
_BASE: Final = re.compile(r"https?://[A-Za-z0-9._~:\[\]-]{1,255}(?:/[A-Za-z0-9._~/-]{0,255})?")


def base_problem(url: str) -> str | None:
    """Say why links cannot begin with this, or None."""
    if _BASE.fullmatch(url):
        return None
    return f"must be like https://links.example.com, not {url!r}"


def linked(services: Services, about: Claim, event: submission.Requested) -> submission.Requested:
    """Return the request with the address of this email, signed; one that it had is replaced."""
    token = services.tokens.sign("unsubscribe", _pointer(about, event.email).encoded())
    url = f"{services.settings.tracker_url.rstrip('/')}/u/{token}"
    sent = msgspec.structs.replace(
        event.email, unsubscribe_url=url, unsubscribe_address=_address(services, about, event)
    )
    return msgspec.structs.replace(event, email=sent)


def _address(services: Services, about: Claim, event: submission.Requested) -> str | None:
    """Return the address to unsubscribe by mail, where there is a domain of ours; who writes there is who leaves."""
    local, _, domain = (event.email.tracker.return_path or "" if event.email.tracker else "").rpartition("@")
    if not local.startswith(f"{handles.PREFIX}+"):
        return None
    return handles.unsubscribe_address(services.tokens, about.workspace, about.email_id, domain)


def _pointer(about: Claim, sent: email.Email) -> Pointer:
    return Pointer(about.workspace, about.email_id, 0 if len(sent.recipients()) == 1 else None)
