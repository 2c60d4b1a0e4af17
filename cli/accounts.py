"""`sendlog accounts`: where a workspace's mail goes, and whether it would get there."""

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cli import command, linking, moment, signing
from cli.command import Commands, Context, given
from cli.failure import NO, OK, USAGE, Failure
from cli.terminal import Terminal, clean

if TYPE_CHECKING:
    from cli.api import Api

_ONE_TIME: Final = {"followed": False, "alone": True}
_NO_RETURN_PATH: Final = "none: reports go to the sender's own address with +…, and may be lost there"
_LIMITS: Final = ("connections", "per_second", "per_minute", "per_hour", "per_day")
_NO_LIMIT: Final = "none"


def register(commands: Commands) -> None:
    """Add the commands."""
    accounts = command.group(commands, "accounts", "manage SMTP accounts")
    command.add(accounts, "list", list_, "list the SMTP accounts")
    for name, run, what in (
        ("show", show, "show one SMTP account"),
        ("remove", remove, "remove an SMTP account; mail that waits for it is deferred"),
        ("verify", verify, "connect to an account's server for real and say what works"),
        ("rotate-dkim", rotate_dkim, "make new DKIM keys, to take the old ones' places once DNS shows them"),
    ):
        parser = command.add(accounts, name, run, what)
        parser.add_argument("account", metavar="ACCOUNT", help="its id or name, or `default`")
    _add_fields(command.add(accounts, "add", add, "open an SMTP account"), new=True)
    parser = command.add(accounts, "edit", edit, "change an SMTP account; what is not given stays")
    parser.add_argument("account", metavar="ACCOUNT", help="its id or name, or `default`")
    _add_fields(parser, new=False)


def _add_fields(parser: argparse.ArgumentParser, *, new: bool) -> None:
    parser.add_argument("--name", required=new)
    parser.add_argument("--host", required=new, help="the server's name")
    parser.add_argument("--port", type=command.count, required=new)
    parser.add_argument("--tls", choices=("implicit", "starttls", "none"))
    parser.add_argument("--tls-ca-file", metavar="FILE", help="certificates to trust, in PEM")
    parser.add_argument("--auth", choices=("password", "xoauth2", "none"))
    parser.add_argument("--username")
    parser.add_argument(
        "--password-file", metavar="FILE", help="- is standard input; without it you are asked"
    )
    parser.add_argument(
        "--identity", action="append", required=new, metavar="'Name <address>'", help="may be repeated"
    )
    parser.add_argument(
        "--dkim", choices=signing.KINDS, help="sign the identities' mail; `show` prints what DNS needs"
    )
    for limit in _LIMITS:
        parser.add_argument(f"--{limit.replace('_', '-')}", type=_limit, metavar="N", help=f"or {_NO_LIMIT}")
    parser.add_argument(
        "--ambiguity", choices=("at_least_once", "at_most_once"), help="when an answer is lost"
    )
    parser.add_argument("--return-path-domain", metavar="DOMAIN", help="where reports come back to")
    parser.add_argument(
        "--one-time-links", choices=("followed", "alone"), help="clicks of links that work only once"
    )
    linking.add_fields(parser, new=new)
    parser.add_argument("--default", action="store_true", help="make it the workspace's default")
    if not new:
        parser.add_argument(
            "--disable", action="store_true", help="send nothing through it; mail for it waits"
        )
        parser.add_argument("--enable", action="store_true")


def _limit(text: str) -> int | str:
    try:
        return text if text == _NO_LIMIT else command.count(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}; or {_NO_LIMIT}") from None


async def found(api: "Api", name: str) -> dict[str, Any]:
    """Return the account of that id or name, or the default one. Raises: Failure."""
    if _is_uuid(name):
        return dict((await api.get(command.path("accounts", name))).data)
    matching = [one for one in await every(api, "/accounts") if one["name"] == name]
    if not matching and name == "default":
        matching = [one for one in await every(api, "/accounts") if one["default"]]
    if len(matching) > 1:
        raise Failure(f"{len(matching)} accounts are named {name!r}: say which by its id")
    if not matching:
        raise Failure(f"there is no account {name!r}")
    return matching[0]


def _is_uuid(text: str) -> bool:
    return re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text) is not None


async def every(api: "Api", path: str) -> list[dict[str, Any]]:
    """Return all entries of a list, page by page."""
    rows: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        answer = await api.get(path, per_page="100", cursor=cursor)
        rows += answer.data
        cursor = answer.meta.get("next_cursor")
        if not cursor:
            return rows


async def list_(context: Context) -> None:
    """List the accounts."""
    async with context.api() as api:
        rows = await every(api, "/accounts")
    if context.as_json:
        context.terminal.say_json(rows)
        return
    lines = [
        (row["id"], row["name"], f"{row['host']}:{row['port']}", row["tls"], row["auth"], _state(row))
        for row in rows
    ]
    context.terminal.table(("ID", "NAME", "SERVER", "TLS", "AUTH", "STATE"), lines)


def _state(account: dict[str, Any]) -> str:
    words = [
        word for word, there in (("default", account["default"]), ("disabled", account["disabled"])) if there
    ]
    return ", ".join(words) or "enabled"


async def show(context: Context) -> None:
    """Show one account."""
    async with context.api() as api:
        account = await found(api, context.arguments.account)
    _tell(context, account)


async def remove(context: Context) -> None:
    """Remove one account."""
    async with context.api() as api:
        account = await found(api, context.arguments.account)
        answer = await api.delete(command.path("accounts", account["id"]))
    if context.as_json:
        context.terminal.say_json(answer.data)
    else:
        context.terminal.say(f"removed {clean(answer.data['name'])}")


async def add(context: Context) -> None:
    """Open an account."""
    body = _fields(context.arguments)
    async with context.api() as api:
        answer = await api.post("/accounts", body)
    _tell(context, answer.data)


async def edit(context: Context) -> None:
    """Change an account."""
    body = _fields(context.arguments)
    if context.arguments.unlink_imap:
        body["imap"] = None
    if context.arguments.enable and context.arguments.disable:
        raise Failure("give --enable or --disable, not both", USAGE)
    if context.arguments.enable or context.arguments.disable:
        body["disabled"] = context.arguments.disable
    if not body and not context.arguments.dkim:
        raise Failure("say what to change", USAGE)
    async with context.api() as api:
        account = await found(api, context.arguments.account)
        if context.arguments.dkim and "identities" not in body:
            body["identities"] = signing.asked(account["identities"], context.arguments.dkim)
        answer = await api.patch(command.path("accounts", account["id"]), body)
    _tell(context, answer.data)


def _fields(arguments: argparse.Namespace) -> dict[str, Any]:
    limits = {name: vars(arguments)[name] for name in _LIMITS if vars(arguments)[name] is not None}
    limits = {name: None if value == _NO_LIMIT else value for name, value in limits.items()}
    return given(
        name=arguments.name,
        host=arguments.host,
        port=arguments.port,
        tls=arguments.tls,
        tls_ca=_read(arguments.tls_ca_file) if arguments.tls_ca_file else None,
        auth=arguments.auth,
        username=arguments.username,
        password=_password(arguments),
        identities=_identities(arguments),
        limits=limits or None,
        ambiguity=arguments.ambiguity,
        return_path_domain=arguments.return_path_domain,
        leave_one_time_links=_ONE_TIME.get(arguments.one_time_links),
        imap=linking.fields(arguments, _read),
        default=arguments.default or None,
    )


def _password(arguments: argparse.Namespace) -> str | None:
    """Return the password; never from the command line, where every user of the machine could read it."""
    if arguments.password_file:
        return _read(arguments.password_file).rstrip("\r\n")
    if arguments.username and arguments.auth != "none" and sys.stdin.isatty():
        import getpass

        return getpass.getpass(f"Password of {arguments.username}: ")
    return None


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{file}: {clean(error)}", USAGE) from error


def _identities(arguments: argparse.Namespace) -> list[dict[str, Any]] | None:
    if not arguments.identity:
        return None
    kinds = {"dkim": signing.KINDS[arguments.dkim]} if arguments.dkim else {}
    return [_identity(text) | kinds for text in arguments.identity]


def _identity(text: str) -> dict[str, str]:
    name, bracket, address = text.rpartition("<")
    if not bracket:
        return {"address": text.strip()}
    return {"address": address.strip().removesuffix(">"), "name": name.strip().strip('"')}


def _tell(context: Context, account: dict[str, Any]) -> None:
    if context.as_json:
        context.terminal.say_json(account)
        return
    limits = [f"{name.replace('_', ' ')} {value}" for name, value in account["limits"].items() if value]
    tracking = [name for name, wanted in account["tracking"].items() if wanted]
    if account.get("leave_one_time_links"):
        tracking.append("one-time links left alone")
    login = f"{account['auth']}, {account['username']}" if account["username"] else account["auth"]
    secret = (
        "" if account["auth"] == "none" else (" (secret kept)" if account["has_secret"] else " (no secret)")
    )
    context.terminal.pairs(
        [
            ("Account", clean(account["id"])),
            ("Name", clean(account["name"])),
            ("State", _state(account)),
            ("Server", clean(f"{account['host']}:{account['port']}, TLS {account['tls']}")),
            ("Login", clean(login + secret)),
            ("Identities", ", ".join(_shown(one) for one in account["identities"])),
            ("Limits", ", ".join(limits)),
            ("Ambiguity", account["ambiguity"]),
            ("Tracking", ", ".join(tracking) or "none"),
            ("Return path", clean(account["return_path_domain"] or _NO_RETURN_PATH)),
            ("Mailbox", linking.shown(account)),
            ("Created", moment.shown(account["created_at"])),
            ("Changed", moment.shown(account["updated_at"])),
        ]
    )
    signing.tell(account, context.terminal)


def _shown(identity: dict[str, Any]) -> str:
    return clean(
        f"{identity['name']} <{identity['address']}>" if identity.get("name") else identity["address"]
    )


async def rotate_dkim(context: Context) -> None:
    """Have new DKIM keys made beside the old ones."""
    async with context.api() as api:
        account = await found(api, context.arguments.account)
        answer = await api.post(command.path("accounts", account["id"], "rotate-dkim"))
    _tell(context, answer.data)


async def verify(context: Context) -> int:
    """Have an account tried for real; the answer is no when mail could not be sent."""
    async with context.api() as api:
        account = await found(api, context.arguments.account)
        answer = await api.post(command.path("accounts", account["id"], "verify"))
    if context.as_json:
        context.terminal.say_json(answer.data)
    else:
        tell_checks(answer.data, context.terminal)
    mailbox = answer.data.get("imap")
    return OK if answer.data["ok"] and (mailbox is None or mailbox["ok"]) else NO


def tell_checks(report: dict[str, Any], terminal: Terminal) -> None:
    """Print what a verification found."""
    for check in report["checks"]:
        # What is merely not offered is no failure of an account that works.
        word = "ok" if check["ok"] else "no" if report["ok"] else "FAIL"
        said = "" if check["message"] == "ok" else f": {clean(check['message'])}"
        terminal.say(f"{terminal.status(word, 4)}  {clean(check['name'])}{said}")
    linking.tell_checks(report, terminal)
    signing.tell_checks(report, terminal)
