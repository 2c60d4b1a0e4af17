"""An email as it was accepted: everything its bytes and its history are made of.

Whatever makes the bytes (Date, boundary, Message-ID) is fixed here, at acceptance, so that every
attempt sends equal bytes.
"""

import zlib
from datetime import datetime
from typing import Literal

import msgspec

from shared.events.base import AccountId
from shared.mail import address

COMPRESS_FROM = 4 * 1024
STORE_FROM = 64 * 1024


class Content(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The bodies as the client gave them; `text` may have been derived from `html`."""

    html: str | None = None
    text: str | None = None


class Body(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Content as it travels: in the clear when small, packed from 4 KB, by key when still over 64 KB.

    Exactly one of `content`, `packed` (zlib of Content's JSON) and `key` (content store) is set;
    `size` is the UTF-8 length of both bodies in bytes.
    """

    content: Content | None = None
    packed: bytes | None = None
    key: str | None = None
    size: int = 0


class Attachment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file of an email. Its bytes lie in the content store under `key`, whole, before the record that says so.

    `size` is in bytes, `sha256` is the digest of the bytes in hex; both are held against what the store gives.
    `content_id` is without its angle brackets. Several emails of a batch may name the same key.
    """

    id: str
    filename: str
    content_type: str
    size: int
    sha256: str
    key: str
    content_id: str | None = None
    disposition: Literal["attachment", "inline"] = "attachment"


class Tracking(msgspec.Struct, frozen=True, kw_only=True):
    """Which signals this email asks for."""

    opens: bool = True
    clicks: bool = True
    delivery: bool = True
    read: bool = False


class Rejection(msgspec.Struct, frozen=True, omit_defaults=True):
    """An item of a batch that was not accepted, and why: each of `details` is a path and a message."""

    index: int
    code: str
    message: str
    details: tuple[tuple[str, str], ...] = ()


class Batch(msgspec.Struct, frozen=True, omit_defaults=True):
    """This email's place among the items of one request.

    The first accepted item remembers what was rejected, so that a repeat of the request is answered alike.
    """

    size: int
    index: int
    rejections: tuple[Rejection, ...] = ()


class Tracker(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How this email's links, pixel and handles are made, fixed so that every attempt makes them alike.

    `url` is where recipients reach the tracker, `key_id` the key that signs; `leave_one_time` leaves links alone
    that look as if they work only once; `return_path` is the envelope sender, where reports and receipts go.
    """

    url: str
    key_id: str
    leave_one_time: bool = False
    return_path: str | None = None


class Email(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"from_": "from"}):
    """What a client submitted, as accepted. `body` is absent in the archive and in projections."""

    message_id: str
    date: datetime
    boundary: str
    from_: address.Mailbox
    to: tuple[address.Mailbox, ...]
    cc: tuple[address.Mailbox, ...] = ()
    bcc: tuple[address.Mailbox, ...] = ()
    to_is_string: bool = False
    reply_to: tuple[address.Mailbox, ...] = ()
    subject: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: Body | None = None
    attachments: tuple[Attachment, ...] = ()
    account_id: AccountId
    tracking: Tracking = Tracking()
    tracker: Tracker | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, str] = {}
    scheduled_at: datetime | None = None
    expires_at: datetime | None = None
    batch_id: str | None = None
    batch: Batch | None = None
    resent_from: str | None = None
    template_id: str | None = None
    template_version: int | None = None
    unsubscribe_url: str | None = None
    unsubscribe_address: str | None = None
    request_hash: str | None = None

    def recipients(self) -> tuple[tuple[str, str], ...]:
        """Return each (address, role) once, in the order to, cc, bcc."""
        seen: dict[str, str] = {}
        for role, mailboxes in (("to", self.to), ("cc", self.cc), ("bcc", self.bcc)):
            for mailbox in mailboxes:
                seen.setdefault(mailbox.address, role)
        return tuple(seen.items())

    def moved(self, at: datetime) -> "Email":
        """Return the email as its release at another time than it was submitted for sends it: dated then."""
        return msgspec.structs.replace(self, scheduled_at=at, date=at)

    def without_content(self) -> "Email":
        """Return the same email without its body."""
        return msgspec.structs.replace(self, body=None)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Content)


def pack(content: Content) -> Body:
    """Return the body in the clear when under 4 KB, else compressed. Never sets `key`."""
    size = len((content.html or "").encode()) + len((content.text or "").encode())
    if size < COMPRESS_FROM:
        return Body(content=content, size=size)
    return Body(packed=zlib.compress(_encoder.encode(content), 3), size=size)


def must_be_stored(body: Body) -> bool:
    """Say whether a packed body is too large for the log and belongs into the content store."""
    return body.packed is not None and len(body.packed) > STORE_FROM


def unpack(packed: bytes) -> Content:
    """Return what `pack` compressed. Raises: zlib.error, msgspec.DecodeError when damaged."""
    return _decoder.decode(zlib.decompress(packed))
