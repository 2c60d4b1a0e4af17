"""When a message arrived, by its own trace: a mail server may have kept it for hours, a file for weeks. Pure."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from services.tracker import mime

_MAX_DATE: Final = 100
# A trace has whole seconds. Their end is taken: an answer must not stand before what it answers.
_REST: Final = timedelta(milliseconds=999)


def at(message: mime.Part, earliest: datetime, now: datetime) -> datetime:
    """Return when the last server took it, by the topmost Received field; by Date where no server left a trace.

    Now where neither can be true: nothing comes back before `earliest`, when the email left, or from the future.
    """
    # RFC 5321 4.4: the newest stands first, its time behind the last semicolon.
    traces = message.all("received")
    told = _time(traces[0].rpartition(";")[2] if traces else message.field("date"))
    return told if told is not None and earliest <= told <= now else now


def _time(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text.strip()[:_MAX_DATE])
        return (found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)) + _REST
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
