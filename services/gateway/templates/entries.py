"""Owns what the buckets of templates hold: heads and aliases to be watched, versions that never change.

Heads are small and in every gateway's memory; a version is read from the leader when it is first used.
"""

import zlib
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

MAX_VERSIONS: Final = 1000


class Made(NamedTuple):
    """A version of a template: its number, when it was made, and the mark its texts lie under.

    The mark keeps apart what several write at once: only the head that is written says whose version counts.
    """

    number: int
    made_at: datetime
    mark: str = ""


class Head(msgspec.Struct, frozen=True, kw_only=True, tag="template"):
    """A template without its texts: which versions it has, and which one is sent."""

    id: str
    workspace: str
    name: str
    alias: str | None = None
    versions: tuple[Made, ...]
    published: int | None = None
    created_at: datetime
    updated_at: datetime

    @property
    def latest(self) -> int:
        """The number of the newest version, published or not."""
        return self.versions[-1].number

    def made(self, number: int) -> Made | None:
        """Return the version of that number, if there is one."""
        return next((version for version in self.versions if version.number == number), None)


class Alias(msgspec.Struct, frozen=True, kw_only=True, tag="alias"):
    """Whose a name is; it counts only while that template says the same."""

    template_id: str
    claimed_at: datetime


class Version(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a version says; it never changes."""

    subject: str | None = None
    html: str | None = None
    text: str | None = None
    css_inline: bool = False

    @property
    def size(self) -> int:
        """How many characters it keeps in memory."""
        return sum(len(part) for part in (self.subject, self.html, self.text) if part)


class Source(NamedTuple):
    """The version an email is made of, and what the client called its template."""

    template_id: str
    version: int
    name: str
    texts: Version

    def place(self, field: str) -> str:
        """Return how a message names one of the texts."""
        return f"{field} of the template {self.name!r}, version {self.version}"


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Version).decode


def packed(version: Version) -> bytes:
    """Return the version as the bucket keeps it."""
    return zlib.compress(_encode(version), 6)


def unpacked(data: bytes) -> Version:
    """Return what `packed` made. Raises: zlib.error, msgspec.DecodeError when damaged."""
    return _decode(zlib.decompress(data))


def head_key(workspace: str, template_id: str) -> str:
    """Return the bucket key of a template."""
    return f"{workspace}.{template_id}"


def alias_key(workspace: str, alias: str) -> str:
    """Return the bucket key of an alias."""
    return f"{workspace}.alias.{alias}"


def version_key(workspace: str, template_id: str, made: Made) -> str:
    """Return the bucket key of a version."""
    name = f"{made.number}-{made.mark}" if made.mark else str(made.number)
    return f"{workspace}.{template_id}.{name}"
