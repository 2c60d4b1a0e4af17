"""Decides what a change makes of an account's linked mailbox, and whether it could be read. Pure.

As for SMTP, a stored secret goes only where it was given for.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from services.gateway.accounts.fields import Mailbox
from services.gateway.errors import Problem
from shared.runtime.configuration import Imap

_BOUND: Final = ("host", "port", "tls", "tls_ca", "auth", "username")
_PORTS: Final = {"implicit": 993, "starttls": 143, "none": 143}


def linked(
    known: Imap | None,
    wanted: Mailbox | UnsetType | None,
    seal: Callable[[str], str],
    problems: list[Problem],
) -> Imap | None:
    """Return the mailbox as it will be, None for none; what is wrong with it goes to the problems."""
    if wanted is UNSET:
        return known
    if wanted is None:
        return None
    given = _given(wanted, "host", "port", "tls", "auth", "username", "mailbox", "tls_ca")
    if wanted.password is not UNSET and wanted.secret is not UNSET:
        problems.append(Problem("$.imap.secret", "is another name for password: give one of them"))
    secret = wanted.secret if wanted.secret is not UNSET else wanted.password
    if secret is not UNSET:
        given["secret"] = seal(secret)
    if known is not None:
        return _moved(known, msgspec.structs.replace(known, **given), problems)
    return _first(given, problems)


def _first(given: dict[str, Any], problems: list[Problem]) -> Imap | None:
    missing = [name for name in ("host", "username", "secret") if name not in given]
    for name in missing:
        problems.append(Problem(f"$.imap.{'password' if name == 'secret' else name}", "is required"))
    if missing:
        return None
    return Imap(**{"port": _PORTS[given.get("tls", "implicit")]} | given)


def _moved(known: Imap, fresh: Imap, problems: list[Problem]) -> Imap:
    moved = [name for name in _BOUND if getattr(known, name) != getattr(fresh, name)]
    if moved and fresh.secret == known.secret:
        said = f"must be given again, for this changes {', '.join(moved)}"
        problems.append(Problem("$.imap.password", said))
    return fresh


def _given(wanted: Mailbox, *names: str) -> dict[str, Any]:
    values = {name: getattr(wanted, name) for name in names}
    return {name: value for name, value in values.items() if value is not UNSET}
