"""Owns the step from a link as it is written to the URL that a browser asks for, in ASCII. Pure.

What stands in a header or a token must be what the browser would have gone to, or a tracked link leads elsewhere.
"""

import re
from typing import Final

from shared.mail import address

# What is asked for as it is written: a host, and the characters behind it (and `&`, which HTML writes otherwise).
HOST: Final = r"[A-Za-z0-9.:_-]++"
REST: Final = r"!#-%'-;=?-\[\]^_a-z|~"
# Most links. Both cases are written out: told to ignore the case, `re` takes three times as long.
_READY: Final = re.compile(rf"[hH][tT][tT][pP][sS]?://{HOST}(?:[/?#][&{REST}]*+)?")
_PARTS: Final = re.compile(r"(https?):[/\\]{2}([^/\\?#]*)([^?#]*)(\?[^#]*)?(#.*)?", re.IGNORECASE | re.DOTALL)
_UNSAFE: Final = re.compile(r"[^!#-;=?-\[\]^_a-z|~\\]", re.IGNORECASE | re.ASCII)
_PORT: Final = re.compile(r"(.*?)(:[0-9]*)?", re.DOTALL)


def requested(url: str) -> str | None:
    """Return an http or https link as a browser asks for it, or None where it leads nowhere.

    Only what is not ASCII, or has no place in a URL, is written in another way; a host is given in A-labels.
    """
    if _READY.fullmatch(url):
        return url
    parts = _PARTS.fullmatch(url)
    if parts is None:
        return None
    scheme, authority, path, query, fragment = parts.groups(default="")
    user, at, host = authority.rpartition("@")
    plain = _host(host)
    if plain is None:
        return None
    rest = _escaped(path.replace("\\", "/")) + _escaped(query) + _escaped(fragment)
    return f"{scheme}://{_escaped(user)}{at}{plain}{rest}"


def _host(host: str) -> str | None:
    split = _PORT.fullmatch(host)
    assert split is not None
    name, port = split[1], split[2] or ""
    if not name or (name.isascii() and _UNSAFE.search(name)):
        return None
    if name.isascii():
        return name + port
    try:
        return address.ascii_domain(name) + port
    except address.AddressError:
        return None


def _escaped(text: str) -> str:
    return _UNSAFE.sub(
        lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "replace")), text
    )
