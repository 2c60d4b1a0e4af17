"""Owns the address by which a recipient unsubscribes: made when the email is accepted, so it is in every attempt.

It names the recipient, so there is one only where the email has one: several share the message, and nobody could
tell who of them followed a link. They write instead, to an address where whoever writes there is who leaves.
"""

import re
from typing import Final

import msgspec

from services.gateway.emails.draft import Draft
from services.gateway.emails.repeats import Claim
from services.gateway.errors import Problem
from services.gateway.request import Services
from shared.events import submission
from shared.runtime import handles
from shared.runtime.configuration import Account
from shared.runtime.tokens import Pointer, Tokens

# Stands in a header between angle brackets and has a path put behind it.
_BASE: Final = re.compile(r"https?://[A-Za-z0-9._~:\[\]-]{1,255}(?:/[A-Za-z0-9._~/-]{0,255})?")

_SHARED: Final = (
    "must be false for an email with several recipients: a link that they share cannot tell who leaves; send one "
    "email to each (POST /emails/batch), or give the SMTP account a return_path_domain so that they leave by mail"
)


def base_problem(url: str) -> str | None:
    """Say why links cannot begin with this, or None."""
    if _BASE.fullmatch(url):
        return None
    return f"must be like https://links.example.com, not {url!r}"


def problems(made: Draft, account: Account, tokens: Tokens, path: str = "$") -> list[Problem]:
    """Return why this account cannot offer the recipients a way out, where the client asks for one. Pure."""
    if not made.unsubscribe:
        return []
    addressed = {mailbox.address for mailbox in (*made.to, *made.cc, *made.bcc)}
    if len(addressed) < 2 or (account.return_path_domain and handles.fit(tokens)):
        return []
    return [Problem(f"{path}.unsubscribe", _SHARED)]


def linked(
    services: Services, about: Claim, event: submission.Requested, by: Account
) -> submission.Requested:
    """Return the request with the addresses of this email, signed; those that it had are replaced."""
    domain, url = by.return_path_domain, None
    if len(event.email.recipients()) == 1:
        token = services.tokens.sign("unsubscribe", Pointer(about.workspace, about.email_id, 0).encoded())
        url = f"{services.settings.tracker_url.rstrip('/')}/u/{token}"
    mail = (
        handles.unsubscribe_address(services.tokens, about.workspace, about.email_id, domain)
        if domain
        else None
    )
    sent = msgspec.structs.replace(event.email, unsubscribe_url=url, unsubscribe_address=mail)
    return msgspec.structs.replace(event, email=sent)
