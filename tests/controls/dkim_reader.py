"""dkimpy as the reader of our signatures: everything is its own but the Ed25519 primitive.

It takes that from PyNaCl, which nothing else here needs; `cryptography` has the same primitive.
"""

import base64
from collections.abc import Callable
from types import SimpleNamespace

import dkim as dkimpy  # type: ignore[import-untyped]
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class _VerifyKey:
    def __init__(self, text: bytes, encoder: object = None) -> None:
        self._key = Ed25519PublicKey.from_public_bytes(base64.b64decode(text))

    def verify(self, message: bytes, signature: bytes) -> bytes:
        self._key.verify(signature, message)
        return message


_NACL = SimpleNamespace(
    signing=SimpleNamespace(VerifyKey=_VerifyKey),
    encoding=SimpleNamespace(Base64Encoder=None),
    exceptions=SimpleNamespace(ValueError=ValueError, BadSignatureError=InvalidSignature),
)


def verdicts(message: bytes, dns: Callable[[str], str]) -> list[bool]:
    """Return for each DKIM-Signature of a message whether it verifies; `dns` gives the record of a name."""
    dkimpy.nacl = _NACL

    def answer(name: bytes, timeout: int = 5) -> bytes:
        return dns(name.decode().rstrip(".")).encode()

    header = message.partition(b"\r\n\r\n")[0].lower()
    count = (b"\r\n" + header).count(b"\r\ndkim-signature:")
    return [_verdict(message, index, answer) for index in range(count)]


def _verdict(message: bytes, index: int, answer: Callable[..., bytes]) -> bool:
    try:
        return bool(dkimpy.DKIM(message).verify(idx=index, dnsfunc=answer))
    except dkimpy.ValidationError:
        return False


def relaxed_body(body: bytes) -> bytes:
    """Return the body as dkimpy hashes it."""
    return bytes(dkimpy.canonicalization.Relaxed.canonicalize_body(body))
