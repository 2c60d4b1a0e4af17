"""Owns DKIM signatures (RFC 6376, RFC 8463): relaxed/relaxed, from given keys and a given time, so that equal
messages get equal fields at every attempt.

What a reader sees is signed and, where a second field could stand in for it, signed as absent beyond the one
that is there. There is no `l=`: nothing can be added below what was signed.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

Algorithm: TypeAlias = Literal["rsa", "ed25519"]
PrivateKey: TypeAlias = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

RSA_BITS: Final = 2048
_LINE: Final = 76
_BLANK: Final = b" \t\r\n"
_EMPTY_LINES: Final = re.compile(rb"(?:\r\n)+\Z")
_PADDING: Final = padding.PKCS1v15()
_SHA256: Final = hashes.SHA256()

# Signed once more than they are there, so that nobody can add one that a reader is shown instead.
_ALWAYS: Final = (b"from", b"to", b"cc", b"subject", b"reply-to")
_ONCE_MORE: Final = (b"date", b"message-id", b"mime-version", b"content-type", b"content-transfer-encoding")
_WHERE_THERE: Final = (b"in-reply-to", b"references", b"list-unsubscribe", b"list-unsubscribe-post")
_SIGNED: Final = (*_ALWAYS, *_ONCE_MORE, *_WHERE_THERE)


class BadKey(ValueError):
    """The bytes are no private key that DKIM can sign with."""


class BodyHash:
    """The relaxed body hash of a body that comes in pieces, cut anywhere; memory does not grow with it."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._held = b""  # blanks at the end: they count only if something follows
        self._empty = True

    def update(self, piece: bytes) -> None:
        """Take the next piece of what stands behind the header's empty line, lines ending in CRLF."""
        data = self._held + piece if self._held else piece
        end = len(data.rstrip(_BLANK))
        if end:
            self._empty = False
            self._hash.update(_relaxed(data[:end]))
        self._held = _relaxed(data[end:])

    def digest(self) -> bytes:
        """Return the hash; the body has ended. RFC 6376 3.4.4: empty lines at the end do not count."""
        end = self._hash.copy()
        held = _EMPTY_LINES.sub(b"", _relaxed(self._held + b"\r\n"))
        if held or not self._empty:
            end.update(held + b"\r\n")
        return end.digest()


def _relaxed(data: bytes) -> bytes:
    """Return the data with each run of blanks as one space and none at the end of a line."""
    data = _single(data)
    return data.replace(b" \r\n", b"\r\n") if b" " in data else data


def _single(data: bytes) -> bytes:
    """Return the data with each run of blanks as one space."""
    # Halving the runs in C, mostly none, is ten times cheaper than a regular expression that visits every space.
    if b"\t" in data:
        data = data.replace(b"\t", b" ")
    if b" " in data:
        while b"  " in data:
            data = data.replace(b"  ", b" ")
    return data


class Key:
    """A private key and the name it is published under."""

    def __init__(self, private: PrivateKey, selector: str) -> None:
        self.selector = selector
        self._private = private

    @property
    def algorithm(self) -> str:
        """The value of `a=`."""
        return "rsa-sha256" if isinstance(self._private, rsa.RSAPrivateKey) else "ed25519-sha256"

    @property
    def signature_size(self) -> int:
        """How many bytes a signature has."""
        return self._private.key_size // 8 if isinstance(self._private, rsa.RSAPrivateKey) else 64

    def sign(self, data: bytes) -> bytes:
        """Return the signature of a canonical header."""
        if isinstance(self._private, rsa.RSAPrivateKey):
            return self._private.sign(data, _PADDING, _SHA256)
        return self._private.sign(hashlib.sha256(data).digest())  # RFC 8463 3


class Signer:
    """Signs the messages of one domain, with one field for each key."""

    def __init__(self, domain: str, keys: Sequence[Key]) -> None:
        self._domain, self._keys = domain, tuple(keys)

    def fields(self, header_block: bytes, body_hash: bytes, at: datetime) -> list[bytes]:
        """Return the DKIM-Signature fields, each with its CRLF, to stand above the header.

        `header_block` is the header with CRLF after each field, without the empty line; `body_hash` the digest
        of BodyHash; `at` the email's own date, so that another attempt signs the same bytes.
        """
        names, canonical = _chosen(header_block)
        return [self._field(key, names, canonical, body_hash, at) for key in self._keys]

    def size(self, header_block: bytes, at: datetime) -> int:
        """Return the length of all fields together, without signing or reading the body."""
        names, _ = _chosen(header_block)
        made = (
            _unsigned(key, self._domain, names, bytes(32), at) + _folded(bytes(key.signature_size))
            for key in self._keys
        )
        return sum(len(field) for field in made)

    def _field(self, key: Key, names: str, canonical: bytes, body_hash: bytes, at: datetime) -> bytes:
        unsigned = _unsigned(key, self._domain, names, body_hash, at)
        name, _, value = unsigned.partition(b":")
        return unsigned + _folded(key.sign(canonical + _canonical(name, value)))


def _unsigned(key: Key, domain: str, names: str, body_hash: bytes, at: datetime) -> bytes:
    """Return the field up to and with `b=`."""
    return (
        f"DKIM-Signature: v=1; a={key.algorithm}; c=relaxed/relaxed;\r\n"
        f" d={domain}; s={key.selector};\r\n"
        f" t={int(at.timestamp())}; h={names};\r\n"
        f" bh={base64.b64encode(body_hash).decode()};\r\n"
        " b="
    ).encode()


def _folded(signature: bytes) -> bytes:
    text = base64.b64encode(signature)
    first, rest = text[: _LINE - 3], text[_LINE - 3 :]
    lines = [first, *(rest[start : start + _LINE - 1] for start in range(0, len(rest), _LINE - 1))]
    return b"\r\n ".join(lines) + b"\r\n"


def _chosen(header_block: bytes) -> tuple[str, bytes]:
    """Return the value of `h=` and what it makes of the header, canonical and each field with its CRLF."""
    there: dict[bytes, list[bytes]] = {}
    for line in header_block.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").split(b"\r\n"):
        name, _, value = line.partition(b":")
        name = name.rstrip(b" \t").lower()
        if name in _SIGNED:
            there.setdefault(name, []).append(_canonical(name, value))
    # From the bottom up where there are several (RFC 6376 5.4.2).
    signed = [field for name in _SIGNED for field in reversed(there.get(name, ()))]
    signed.append(b"")
    return _list(tuple(len(there.get(name, ())) for name in _SIGNED)), b"\r\n".join(signed)


@lru_cache(maxsize=256)
def _list(counts: tuple[int, ...]) -> str:
    """Return the names of so many fields with colons between, folded so that no line is too long."""
    names: list[str] = []
    for signed, count in zip(_SIGNED, counts, strict=True):
        extra = signed in _ALWAYS or (count > 0 and signed in _ONCE_MORE)
        names += [signed.decode()] * (count + extra)
    lines, line = [], ""
    for name in names:
        if line and len(line) + len(name) + 1 > _LINE - 20:
            lines.append(line)
            line = ""
        line += f"{name}:"
    return "\r\n  ".join([*lines, line])[:-1]


def _canonical(name: bytes, value: bytes) -> bytes:
    """Return a field by RFC 6376 3.4.2, without its CRLF."""
    return name.lower() + b":" + _single(value.replace(b"\r\n", b"")).strip(b" ")


def new_private_key(algorithm: Algorithm) -> PrivateKey:
    """Return a fresh key; making one for RSA takes a tenth of a second and more."""
    if algorithm == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)


def stored(private: PrivateKey) -> str:
    """Return a private key as text: base64 of its PKCS #8."""
    return base64.b64encode(
        private.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    ).decode()


def read(text: str) -> PrivateKey:
    """Return the private key that `stored` wrote. Raises: BadKey."""
    try:
        private = serialization.load_der_private_key(base64.b64decode(text), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadKey("not a private key") from error
    if isinstance(private, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        return private
    raise BadKey("not a private key that DKIM can sign with")


def public_part(private: PrivateKey) -> str:
    """Return the value of `p=` in the DNS record (RFC 6376 3.6.1, RFC 8463 4)."""
    if isinstance(private, rsa.RSAPrivateKey):
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return base64.b64encode(private.public_key().public_bytes(serialization.Encoding.DER, form)).decode()
    raw = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return base64.b64encode(raw).decode()


def record_name(selector: str, domain: str) -> str:
    """Return where the DNS record stands."""
    return f"{selector}._domainkey.{domain}"


def record_value(algorithm: Algorithm, public: str) -> str:
    """Return what the DNS record says."""
    return f"v=DKIM1; k={algorithm}; p={public}"


def tags(record: str) -> dict[str, str]:
    """Return the tags of a tag list (RFC 6376 3.2), blanks dropped; what is no tag is left out."""
    return dict(_tags(record))


def _tags(record: str) -> Iterator[tuple[str, str]]:
    for part in record.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            yield name.strip(), "".join(value.split())
