"""A hit: one request for something in an email, as it was captured, before any verdict."""

from datetime import datetime
from typing import Literal

import msgspec


class Hit(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Who asked for what, when. `event_id` is random at capture: a hit taken twice is the same event twice.

    Of who asked it has what may be kept. `machine` is why the request was a machine's, empty where it does not say.

    `place` is the recipient's index in `Email.recipients()`; `segment` is the journal's file that holds the hit,
    and `is_left` says that nobody holds it beside that: it will be read from there.
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
    machine: str = ""
    segment: str = ""
    is_left: bool = False

    @property
    def is_unsubscribe(self) -> bool:
        """Say whether the recipient wants no more mail; everything else may be a machine's doing."""
        return self.kind in ("one_click", "page")
