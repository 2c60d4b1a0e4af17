"""Secrets at rest: AES-256-GCM under a keyring file, bound to the workspace and account they belong to.

The keyring is a file outside the log, mode 0600 (a mounted secret 0640): JSON `{"current": id, "keys": {id:
base64 of 32 bytes}}`. Rotation adds a key and makes it current; old ones stay for reading.
"""

import base64
import os
import re
import secrets
from collections.abc import Collection
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NUMBERED: Final = re.compile(r"k[0-9]{1,9}")
_KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")  # stands between dots in what is sealed


class KeyringError(Exception):
    """The keyring is missing, open to others, damaged, or lacks the key a secret was sealed with."""


class _File(msgspec.Struct):
    current: str
    keys: dict[str, bytes]


class Keyring:
    """Seals and opens secrets; which key was used stands before the sealed bytes."""

    def __init__(self, content: _File) -> None:
        if content.current not in content.keys or any(len(key) != 32 for key in content.keys.values()):
            raise KeyringError("keyring: `current` must name one of `keys`, each 32 bytes in base64")
        if not all(_KEY_ID.fullmatch(key_id) for key_id in content.keys):
            raise KeyringError("keyring: a key's id has 1 to 64 letters, digits, - and _")
        self._current = content.current
        self._keys = content.keys

    @property
    def current(self) -> str:
        """The id of the key that new secrets and tokens are made with."""
        return self._current

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of all keys, the oldest first."""
        return tuple(self._keys)

    def derived(self, purpose: str, key_id: str) -> bytes:
        """Return 32 bytes for one purpose alone, by HKDF (RFC 5869). Raises: KeyringError for an unknown key."""
        if key_id not in self._keys:
            raise KeyringError(f"keyring: no key {key_id!r}")
        info = f"sendlog {purpose}".encode()
        return HKDF(hashes.SHA256(), length=32, salt=None, info=info).derive(self._keys[key_id])

    def is_current(self, sealed: str) -> bool:
        """Say whether a secret was sealed with the current key, or an older one."""
        return sealed.startswith(f"v1.{self._current}.")

    def seal(self, secret: str, workspace: str, account: str) -> str:
        """Return the secret encrypted for one account of one workspace, as `v1.<key id>.<base64>`."""
        nonce = secrets.token_bytes(12)
        sealed = AESGCM(self._keys[self._current]).encrypt(
            nonce, secret.encode(), _bound_to(workspace, account)
        )
        return f"v1.{self._current}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, workspace: str, account: str) -> str:
        """Return the secret. Raises: KeyringError when the key is gone or the binding does not fit."""
        version, _, rest = sealed.partition(".")
        key_id, _, data = rest.partition(".")
        if version != "v1" or key_id not in self._keys:
            raise KeyringError(
                f"keyring: no key {key_id!r}; restore the keyring file this secret was sealed with"
            )
        raw = base64.urlsafe_b64decode(data)
        try:
            opened = AESGCM(self._keys[key_id]).decrypt(raw[:12], raw[12:], _bound_to(workspace, account))
        except InvalidTag:
            raise KeyringError("keyring: the secret is damaged or belongs to another account") from None
        return opened.decode()


def _bound_to(workspace: str, account: str) -> bytes:
    return f"{workspace}\n{account}".encode()


def load(path: Path) -> Keyring:
    """Read the keyring file. Raises: KeyringError."""
    try:
        mode = path.stat().st_mode
        data = path.read_bytes()
    except OSError as error:
        raise KeyringError(f"keyring: {error}") from error
    if mode & 0o037:  # a mounted secret is read through its group
        raise KeyringError(
            f"keyring: {path} has mode {mode & 0o777:o}, so others than its owner can use it; chmod 600 {path} "
            "(640 lets its group read it, nothing more)"
        )
    try:
        return Keyring(msgspec.json.decode(data, type=_File))
    except msgspec.MsgspecError as error:
        raise KeyringError(f"keyring: {path}: {error}") from error


def create(path: Path) -> None:
    """Write a new keyring with one key, unless there is one already."""
    if path.exists():
        return
    _write(path, _File(current="k1", keys={"k1": secrets.token_bytes(32)}))


def rotate(path: Path) -> str:
    """Add a key, make it current, return its id; secrets sealed before stay readable."""
    content = msgspec.json.decode(path.read_bytes(), type=_File)
    key_id = _unused_id(content.keys)
    _write(path, _File(current=key_id, keys={**content.keys, key_id: secrets.token_bytes(32)}))
    return key_id


def _unused_id(keys: Collection[str]) -> str:
    """Return the id after the highest: counting the keys would meet one again once an old one is dropped."""
    numbers = [int(key_id[1:]) for key_id in keys if _NUMBERED.fullmatch(key_id)]
    return f"k{max(numbers, default=0) + 1}"


def _write(path: Path, content: _File) -> None:
    fresh = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(content))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
