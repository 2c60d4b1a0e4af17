"""A hit: one request for something in an email, as it was captured, before any verdict."""

from datetime import datetime
from typing import Literal

import msgspec


class Hit(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Who asked for what, when. `event_id` is random at capture: a hit taken twice is the same event twice.

    `place` is the recipient's index in `Email.recipients()`; `segment` is the journal's file that holds the hit.
    """

    kind: Literal["open", "click", "one_click", "page"]
    workspace: str
    email_id: str
    event_id: str
    at: datetime
    place: int | None = None
    url: str = ""
    ip_address: str = ""
    user_agent: str = ""
    purpose: str = ""
    segment: str = ""
