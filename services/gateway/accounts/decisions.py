"""Decides whether an account is one we could send through, and what it becomes. Pure.

Checked is the account as it would be, not the change: a PATCH that is fine by itself may leave a password
login without a password. A stored password goes only where it was given for: whoever may change an account
must not be able to have it sent elsewhere.
"""

import re
import ssl
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import UNSET

from services.gateway.accounts import dkim_keys, linking
from services.gateway.accounts.fields import AccountChange, NewAccount, Sender
from services.gateway.errors import Problem
from shared.mail import address, header
from shared.runtime.configuration import Account, Identity, Smtp

Seal = Callable[[str], str]
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.IGNORECASE)
_NUMBER: Final = r"(?:0x[0-9a-f]*|[0-9]+)"
_NUMERIC: Final = re.compile(rf"{_NUMBER}(?:\.{_NUMBER})*\.?", re.IGNORECASE)
_IMPLICIT_TLS_PORT: Final = 465
_BOUND: Final = ("host", "port", "tls", "tls_ca", "auth", "username")


def opened(
    account_id: str, workspace: str, wanted: NewAccount, seal: Seal, now: datetime
) -> tuple[Account, list[Problem]]:
    """Return the new account, and why it cannot be had if so."""
    blank = Account(
        id=account_id,
        workspace=workspace,
        name=wanted.name,
        smtp=Smtp(host=wanted.host, port=wanted.port, tls=_tls(wanted), auth=_auth(wanted)),
        identities=(),
        created_at=now,
        updated_at=now,
    )
    return changed(blank, wanted, seal, now)


def changed(
    account: Account, wanted: AccountChange, seal: Seal, now: datetime
) -> tuple[Account, list[Problem]]:
    """Return the account with the change applied, and why it cannot be had if so."""
    problems: list[Problem] = []
    identities = account.identities
    if wanted.identities is not UNSET:
        identities = tuple(_identities(wanted.identities, account.identities, problems))
    fresh = msgspec.structs.replace(
        account,
        **_given(wanted, "name", "ambiguity", "leave_one_time_links", "disabled"),
        return_path_domain=_return_path_domain(account, wanted),
        smtp=_smtp(account.smtp, wanted, seal, problems),
        imap=linking.linked(account.imap, wanted.imap, seal, problems),
        identities=identities,
        limits=_merged(account.limits, wanted.limits),
        tracking=_merged(account.tracking, wanted.tracking),
        updated_at=now,
    )
    problems += _unusable(fresh)
    problems += dkim_keys.problems(fresh)
    return fresh, problems


def _return_path_domain(account: Account, wanted: AccountChange) -> str | None:
    """Return it as DNS and the envelope have it; what is no domain stays as it was given, to be refused."""
    name = wanted.return_path_domain
    if name is UNSET:
        return account.return_path_domain
    try:
        return name and address.ascii_domain(name).rstrip(".")
    except address.AddressError:
        return name


def _tls(wanted: NewAccount) -> Any:
    if wanted.tls is not UNSET:
        return wanted.tls
    return "implicit" if wanted.port == _IMPLICIT_TLS_PORT else "starttls"


def _auth(wanted: NewAccount) -> Any:
    if wanted.auth is not UNSET:
        return wanted.auth
    return "password" if wanted.password or wanted.secret else "none"


def _smtp(smtp: Smtp, wanted: AccountChange, seal: Seal, problems: list[Problem]) -> Smtp:
    given = _given(wanted, "host", "port", "tls", "auth", "username", "tls_ca")
    if wanted.password is not UNSET and wanted.secret is not UNSET:
        problems.append(Problem("$.secret", "is another name for password: give one of them"))
    secret = wanted.secret if wanted.secret is not UNSET else wanted.password
    if secret is not UNSET:
        given["secret"] = None if secret is None else seal(secret)
    fresh = _without_login(msgspec.structs.replace(smtp, **given), wanted)
    problems += _carried_off(smtp, fresh)
    return fresh


def _carried_off(smtp: Smtp, fresh: Smtp) -> Iterator[Problem]:
    """Refuse to use the stored secret for another login than the one it was given for."""
    moved = [name for name in _BOUND if getattr(smtp, name) != getattr(fresh, name)]
    if smtp.secret and fresh.secret == smtp.secret and fresh.username and moved:
        yield Problem("$.password", f"must be given again, for this changes {', '.join(moved)}")


def _without_login(smtp: Smtp, wanted: AccountChange) -> Smtp:
    """Forget the credentials of an account that is changed to log in no more."""
    if smtp.auth != "none":
        return smtp
    forgotten = {"secret": None} if not (wanted.password or wanted.secret) else {}
    if not wanted.username:
        forgotten["username"] = None
    return msgspec.structs.replace(smtp, **forgotten)


def _unusable(account: Account) -> Iterator[Problem]:
    smtp = account.smtp
    if problem := host_problem(smtp.host):
        yield Problem("$.host", problem)
    if smtp.auth == "none" and (smtp.username or smtp.secret):
        yield Problem("$.auth", "is none, but there are credentials: say password or xoauth2")
    if smtp.auth != "none" and not smtp.username:
        yield Problem("$.username", f"is required when auth is {smtp.auth}")
    if smtp.auth != "none" and not smtp.secret:
        yield Problem("$.password", f"is required when auth is {smtp.auth}")
    if smtp.tls_ca is not None and (problem := _ca_problem(smtp.tls_ca)):
        yield Problem("$.tls_ca", problem)
    if account.imap is not None:
        if problem := host_problem(account.imap.host):
            yield Problem("$.imap.host", problem)
        if account.imap.tls_ca is not None and (problem := _ca_problem(account.imap.tls_ca)):
            yield Problem("$.imap.tls_ca", problem)
    if account.return_path_domain and (problem := _domain_problem(account.return_path_domain)):
        yield Problem("$.return_path_domain", problem)


def is_literal(host: str) -> bool:
    """Say whether the host is an address, in whatever spelling a resolver would take for one."""
    try:
        plain = address.ascii_domain(host)
    except address.AddressError:
        plain = host
    return ":" in host or _NUMERIC.fullmatch(plain) is not None


def host_problem(host: str) -> str | None:
    """Say why this is no host name, or None; addresses are judged by where they lead (outgoing)."""
    if is_literal(host):
        return None
    return _domain_problem(host)


def _domain_problem(name: str) -> str | None:
    try:
        labels = address.ascii_domain(name).rstrip(".").split(".")
    except address.AddressError as error:
        return str(error).replace("the part after the @", "this")
    if all(_LABEL.fullmatch(label) for label in labels):
        return None
    return "must be a host name such as smtp.example.com"


def _ca_problem(pem: str) -> str | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError, TypeError):  # the last for what is not ASCII
        return "must be one or more certificates in PEM"
    return None if context.cert_store_stats()["x509"] else "must be one or more certificates in PEM"


def _identities(
    senders: list[Sender], known: tuple[Identity, ...], problems: list[Problem]
) -> Iterator[Identity]:
    signed = {address.normalised(identity.address): identity.dkim for identity in known}
    seen = set()
    for index, sender in enumerate(senders):
        path = f"$.identities[{index}]"
        if problem := header.check_value(sender.name, address.MAX_NAME):
            problems.append(Problem(f"{path}.name", problem))
        try:
            parsed = address.parse(sender.address)
        except address.AddressError as error:
            problems.append(Problem(f"{path}.address", str(error)))
            continue
        if parsed.name or "<" in sender.address:
            problems.append(Problem(f"{path}.address", "must be the address alone; its name has a field"))
        normalised = address.normalised(parsed.address)
        if normalised in seen:
            problems.append(Problem(f"{path}.address", "is there twice"))
        seen.add(normalised)
        kinds = signed.get(normalised, ()) if sender.dkim is UNSET else tuple(dict.fromkeys(sender.dkim))
        yield Identity(address=parsed.address, name=sender.name, dkim=kinds)


def _given(wanted: AccountChange, *names: str) -> dict[str, Any]:
    values = {name: getattr(wanted, name) for name in names}
    return {name: value for name, value in values.items() if value is not UNSET}


def _merged(known: Any, wanted: Any) -> Any:
    """Return the limits or tracking with what was given; the rest stays."""
    if wanted is UNSET:
        return known
    return msgspec.structs.replace(known, **_given(wanted, *wanted.__struct_fields__))
