"""The ids the gateway gives out: ordered by time when fresh, derived from the client's key when there is one.

A derived id is what makes a repeat recognisable: the same workspace and key always name the same email,
so the log's own guard decides which of fifty parallel repeats was the first.
"""

import hashlib
import os
import random
import re
import time
import uuid
from typing import Final

from shared.events.base import EmailId, EventId

# Unique is what these have to be; nothing here keeps a secret. Asking the system for each took a tenth of a request.
_bits: Final = random.Random(os.urandom(32)).getrandbits
_KEYED: Final = uuid.UUID("6f1d7b0e-6a53-5c0b-9d0e-0a5f6f0f5e11").bytes
_BARE: Final = ~(0xF << 76) & ~(0x3 << 62)  # a UUID without its version and variant
_KEY: Final = re.compile(r"[\x20-\x7e]{1,255}")
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def fresh() -> EmailId:
    """Return a new UUIDv7 (RFC 9562 5.7): milliseconds first, so that ids sort as they were made."""
    number = (time.time_ns() // 1_000_000) << 80 | _bits(80)
    return EmailId(_spelled(number & _BARE | 0x7 << 76 | 0x2 << 62))


def _spelled(number: int) -> str:
    text = f"{number:032x}"  # three times as fast as uuid.UUID, on a path that every email takes
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def keyed(workspace: str, key: str, part: str = "") -> EmailId:
    """Return the id that this workspace's idempotency key names, now and always (UUIDv5).

    `part` names one of several things under the key; no key can be spelled so that it means another's part.
    """
    name = f"{workspace}\n{key}\n{part}" if part else f"{workspace}\n{key}"
    number = int.from_bytes(hashlib.sha1(_KEYED + name.encode(), usedforsecurity=False).digest()[:16], "big")
    return EmailId(_spelled(number & _BARE | 0x5 << 76 | 0x2 << 62))


def is_key(text: str) -> bool:
    """Say whether the text may be an idempotency key: 1 to 255 printable ASCII characters."""
    return _KEY.fullmatch(text) is not None


def request_id() -> str:
    """Return an id for a request that came without one: 128 random bits in hex."""
    return f"{_bits(128):032x}"


def event_id() -> EventId:
    """Return a random event id: a submission is a new fact each time it is made."""
    return EventId(_spelled(_bits(128) & _BARE | 0x4 << 76 | 0x2 << 62))


def as_uuid(text: str) -> str | None:
    """Return the UUID in its one spelling, or None if the text is none (subjects and keys are made of it)."""
    return text.lower() if _UUID.fullmatch(text) else None


def traceparent(header: str | None) -> str | None:
    """Return a valid W3C trace context, or None: what is not one is not passed on."""
    return header if header and _TRACEPARENT.fullmatch(header) else None


def boundary() -> str:
    """Return a MIME boundary that no content contains (RFC 2046 5.1.1): 96 random bits."""
    return f"=_{_bits(96):024x}"


def digest(data: bytes) -> str:
    """Return the SHA-256 of the data in hex."""
    return hashlib.sha256(data).hexdigest()
