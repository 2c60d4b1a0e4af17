"""Owns signed tokens: what stands in a link or an address and comes back from strangers.

Each purpose has a key of its own, derived from the keyring, so a token for one door opens no other; without a
valid MAC nothing of a token is believed. The payload is signed, not hidden: no secret belongs into it.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Literal, NamedTuple, TypeAlias

from shared.runtime.keyring import Keyring, KeyringError

Purpose: TypeAlias = Literal["unsubscribe", "open", "click", "return-path", "message-id"]
Alphabet: TypeAlias = Literal["url", "local-part"]

_MAC: Final = 16  # bytes of keyed BLAKE2b (RFC 7693): 128 bits
_MAX_TOKEN: Final = 8192
_NUMBERED: Final = re.compile(r"k([1-9][0-9]{0,2})")
_NAMED: Final = 0
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"  # RFC 4648 6, in lower case
_PAIRS: Final = [first + second for first in _LETTERS for second in _LETTERS]
_UUID: Final = 16
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
_FROM_URL: Final = bytes.maketrans(b"-_", b"+/")


class Tokens:
    """Signs with the keyring's current key and verifies with any of its keys, so a rotation breaks no link."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._started: dict[tuple[str, str], hashlib.blake2b] = {}

    @property
    def current(self) -> str:
        """The id of the key that signs now."""
        return self._keyring.current

    def usable(self, key_id: str) -> str:
        """Return this key's id, or the current one's when the keyring has it no more: a link is signed by some key."""
        try:
            self._mac("open", key_id, b"")
        except KeyringError:
            return self._keyring.current
        return key_id

    def sign(
        self, purpose: Purpose, payload: bytes, alphabet: Alphabet = "url", *, key_id: str | None = None
    ) -> str:
        """Return the payload with the key's id and a MAC, in letters that need no escaping.

        `local-part` gives lower-case letters and digits only: mail servers may change the case of an address.
        With `key_id` the same is signed the same after a rotation. Raises: KeyringError when that key is gone.
        """
        key_id = key_id or self._keyring.current
        signed = _key_mark(key_id) + payload
        return _encoded(signed + self._mac(purpose, key_id, signed), alphabet)

    def sign_all(self, purpose: Purpose, head: bytes, tails: Iterable[bytes], key_id: str) -> list[str]:
        """Return what `sign` makes of the head with each of the tails, in two thirds of the time.

        Raises: KeyringError when that key is gone.
        """
        begin, started = _key_mark(key_id) + head, self._begun(purpose, key_id)
        tokens = []
        for tail in tails:
            signed = begin + tail
            mac = started.copy()
            mac.update(signed)
            tokens.append(_encoded(signed + mac.digest(), "url"))
        return tokens

    def verify(self, purpose: Purpose, token: str, alphabet: Alphabet = "url") -> bytes | None:
        """Return the payload, or None for whatever was not signed here for this purpose. Never raises."""
        data = _decoded(token, alphabet)
        if data is None or len(data) <= _MAC:
            return None
        signed, mac = data[:-_MAC], data[-_MAC:]
        marked = _marked(signed)
        if marked is None:
            return None
        key_id, payload = marked
        try:
            expected = self._mac(purpose, key_id, signed)
        except KeyringError:
            return None
        return payload if hmac.compare_digest(mac, expected) else None

    def _mac(self, purpose: Purpose, key_id: str, signed: bytes) -> bytes:
        mac = self._begun(purpose, key_id).copy()
        mac.update(signed)
        return mac.digest()

    def _begun(self, purpose: Purpose, key_id: str) -> hashlib.blake2b:
        """Return the MAC to copy and go on with, begun once a key."""
        begun = self._started.get((purpose, key_id))
        if begun is None:
            key = self._keyring.derived(f"token {purpose}", key_id)
            begun = self._started[purpose, key_id] = hashlib.blake2b(key=key, digest_size=_MAC)
        return begun


class Pointer(NamedTuple):
    """What a token is about: an email, and one of its recipients when the token can name one.

    `place` is the recipient's index in `Email.recipients()`. `extra` is the purpose's own, such as a target.
    """

    workspace: str
    email_id: str
    place: int | None = None
    extra: bytes = b""

    def encoded(self) -> bytes:
        """Return it as short as it gets: 18 bytes and the workspace's name."""
        workspace = self.workspace.encode()
        place = 0 if self.place is None else self.place + 1
        number = bytes.fromhex(self.email_id.replace("-", ""))  # a fifth of what uuid.UUID takes
        return bytes((place, len(workspace))) + number + workspace + self.extra


def pointer(payload: bytes) -> Pointer | None:
    """Return what `Pointer.encoded` made of it, or None for anything else."""
    if len(payload) < 2 + _UUID or len(payload) < 2 + _UUID + payload[1]:
        return None
    place, end = payload[0], 2 + _UUID + payload[1]
    try:
        workspace = payload[2 + _UUID : end].decode()
    except UnicodeDecodeError:
        return None
    number = payload[2 : 2 + _UUID].hex()
    email_id = f"{number[:8]}-{number[8:12]}-{number[12:16]}-{number[16:20]}-{number[20:]}"
    return Pointer(workspace, email_id, place - 1 if place else None, payload[end:])


@lru_cache(maxsize=64)
def _key_mark(key_id: str) -> bytes:
    """Return the key's id in one byte where it is numbered as our own keyrings number theirs."""
    numbered = _NUMBERED.fullmatch(key_id)
    if numbered and int(numbered[1]) < 256:
        return bytes((int(numbered[1]),))
    name = key_id.encode()
    return bytes((_NAMED, len(name))) + name


def _marked(signed: bytes) -> tuple[str, bytes] | None:
    """Return the key's id and the payload behind it."""
    if signed[0] != _NAMED:
        return f"k{signed[0]}", signed[1:]
    if len(signed) < 2 or len(signed) < 2 + signed[1]:
        return None
    return signed[2 : 2 + signed[1]].decode("utf-8", "replace"), signed[2 + signed[1] :]


def _encoded(data: bytes, alphabet: Alphabet) -> str:
    if alphabet == "url":
        return binascii.b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=").decode()
    return _base32(data)


def _base32(data: bytes) -> str:
    """Return base32 without padding. The stdlib's is written in Python too, and takes five times as long."""
    bits = 8 * len(data)
    pairs = -(-bits // 10)
    number = int.from_bytes(data, "big") << (10 * pairs - bits)
    text = "".join([_PAIRS[number >> shift & 1023] for shift in range(10 * pairs - 10, -1, -10)])
    return text[: -(-bits // 5)]


def _decoded(token: str, alphabet: Alphabet) -> bytes | None:
    """Return the bytes, or None; of the several spellings of one value only ours is taken."""
    if not token.isascii() or len(token) > _MAX_TOKEN:
        return None
    token = token if alphabet == "url" else token.lower()
    try:
        if alphabet == "url":
            data = binascii.a2b_base64(token.encode().translate(_FROM_URL) + b"=" * (-len(token) % 4))
        else:
            data = base64.b32decode(token.upper() + "=" * (-len(token) % 8))
    except (binascii.Error, ValueError):
        return None
    return data if _encoded(data, alphabet) == token else None
