"""`sendlog send`, `list`, `cancel`, `reschedule`: emails over the API."""

import argparse
import sys
from pathlib import Path
from typing import Any, Final

from cli import accounts, attaching, command, moment, templates
from cli.command import Commands, Context, given
from cli.failure import USAGE, Failure
from cli.terminal import clean

_FILTERS: Final = (
    ("status", "raw status, several with commas"),
    ("unified-status", "the status that is told, several with commas"),
    ("to", "recipient: an address, or a part of one"),
    ("from", "sender: an address, or a part of one"),
    ("subject", "a part of the subject"),
    ("q", "a part of subject, sender or recipient"),
    ("tag", "one of its tags"),
    ("batch-id", "the batch it came in"),
    ("account", "the SMTP account, by id or name"),
    ("created-after", "RFC 3339"),
    ("created-before", "RFC 3339"),
    ("scheduled-after", "RFC 3339"),
    ("scheduled-before", "RFC 3339"),
)
_PAGE: Final = 100
_WIDE: Final = 110


def register(commands: Commands) -> None:
    """Add the commands."""
    _register_send(commands)
    parser = command.add(commands, "list", list_, "list emails, newest first")
    for name, what in _FILTERS:
        parser.add_argument(f"--{name}", metavar="X", help=what)
    parser.add_argument("--oldest-first", action="store_true", help="in the order they were created")
    parser.add_argument(
        "--limit", type=command.count, default=20, metavar="N", help="at most so many (default 20)"
    )
    parser.add_argument("--cursor", metavar="C", help="go on where an earlier list ended")
    parser = command.add(commands, "cancel", cancel, "cancel an email that is still waiting")
    parser.add_argument("id", metavar="ID")
    parser = command.add(commands, "reschedule", reschedule, "move a scheduled email to another time")
    parser.add_argument("id", metavar="ID")
    parser.add_argument("time", metavar="TIME", help="RFC 3339 with an offset, or +10m from now")


def _register_send(commands: Commands) -> None:
    parser = command.add(
        commands,
        "send",
        send,
        "send an email and print its id",
        "Every send has an Idempotency-Key; while no answer comes it is repeated with the same key.",
    )
    describe(parser)
    parser.add_argument("--attach", action="append", metavar="FILE", help="a file; may be repeated")
    parser.add_argument("--idempotency-key", metavar="KEY", help="default: a random one")


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say what an email is."""
    for role in ("to", "cc", "bcc"):
        required = role == "to"
        parser.add_argument(
            f"--{role}", action="append", required=required, metavar="ADDRESS", help="may be repeated"
        )
    parser.add_argument("--subject", help="a template may give it")
    parser.add_argument("--template", metavar="TEMPLATE", help="the texts come from it; its id or alias")
    parser.add_argument(
        "--template-version", type=command.count, metavar="N", help="default: the published one"
    )
    templates.add_variables(parser)
    parser.add_argument("--text", help="the text body")
    parser.add_argument("--html", help="the HTML body")
    parser.add_argument(
        "--text-file", metavar="FILE", help="read the text body from a file, - is standard input"
    )
    parser.add_argument(
        "--html-file", metavar="FILE", help="read the HTML body from a file, - is standard input"
    )
    parser.add_argument("--from", metavar="ADDRESS", help="one of the account's identities")
    parser.add_argument("--from-name", metavar="NAME")
    parser.add_argument("--reply-to", action="append", metavar="ADDRESS", help="may be repeated")
    parser.add_argument("--at", metavar="TIME", help="send then: RFC 3339 with an offset, or +10m from now")
    parser.add_argument("--expires-at", metavar="TIME", help="do not send after")
    parser.add_argument("--tag", action="append", metavar="TAG", help="may be repeated")
    parser.add_argument("--metadata", action="append", metavar="K=V", help="may be repeated")
    parser.add_argument("--header", action="append", metavar="'N: V'", help="may be repeated")
    parser.add_argument("--account", metavar="ACCOUNT", help="the SMTP account, by id or name")


async def send(context: Context) -> None:
    """Send one email, surely once."""
    arguments = context.arguments
    body = submission(arguments)
    key = arguments.idempotency_key or fresh_key()
    async with context.api() as api:
        if arguments.account:
            body["smtp_account_id"] = (await accounts.found(api, arguments.account))["id"]
        if arguments.attach:
            made = attaching.form(body, arguments.attach)
            answer = await api.post_for_sure("/emails/send/multipart", None, key, made)
        else:
            answer = await api.post_for_sure("/emails/send", body, key)
    if context.as_json:
        context.terminal.say_json(answer.data)
    else:
        context.terminal.say(clean(answer.data["id"]))


def fresh_key() -> str:
    """Return an Idempotency-Key that nobody has used."""
    import secrets

    return secrets.token_hex(16)


def submission(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the send object. Raises: Failure."""
    fields = vars(arguments)
    text, html = _content(arguments, "text"), _content(arguments, "html")
    if arguments.template is None:
        _require_texts(arguments, text, html)
    return given(
        to=arguments.to[0] if len(arguments.to) == 1 else arguments.to,
        cc=arguments.cc,
        bcc=arguments.bcc,
        subject=arguments.subject,
        text=text,
        html=html,
        template_id=arguments.template,
        template_version=arguments.template_version,
        variables=templates.variables(arguments),
        from_name=arguments.from_name,
        reply_to=arguments.reply_to,
        scheduled_at=moment.given(arguments.at) if arguments.at else None,
        expires_at=moment.given(arguments.expires_at) if arguments.expires_at else None,
        tags=arguments.tag,
        metadata=_split(arguments.metadata, "=", "--metadata"),
        headers=_split(arguments.header, ":", "--header"),
    ) | given(**{"from": fields["from"]})


def _require_texts(arguments: argparse.Namespace, text: str | None, html: str | None) -> None:
    if text is None and html is None:
        raise Failure("give the email a body: --text, --html, --text-file, --html-file or --template", USAGE)
    if arguments.subject is None:
        raise Failure("give the email a --subject", USAGE)


def _content(arguments: argparse.Namespace, kind: str) -> str | None:
    inline: str | None = getattr(arguments, kind)
    file: str | None = getattr(arguments, f"{kind}_file")
    if file is None:
        return inline
    if inline is not None:
        raise Failure(f"give --{kind} or --{kind}-file, not both", USAGE)
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"--{kind}-file {file}: {clean(error)}", USAGE) from error


def _split(pairs: list[str] | None, separator: str, option: str) -> dict[str, str] | None:
    if pairs is None:
        return None
    found = {}
    for pair in pairs:
        name, there, value = pair.partition(separator)
        if not there or not name.strip():
            raise Failure(f"{option} {pair!r} is not NAME{separator}VALUE", USAGE)
        found[name.strip()] = value.strip() if separator == ":" else value
    return found


async def list_(context: Context) -> None:
    """List emails, page by page as far as asked."""
    arguments = context.arguments
    query = {name.replace("-", "_"): vars(arguments)[name.replace("-", "_")] for name, _ in _FILTERS}
    account = query.pop("account")
    sort = "created_at" if arguments.oldest_first else None
    rows: list[dict[str, Any]] = []
    cursor: str | None = arguments.cursor
    meta: dict[str, Any] = {}
    async with context.api() as api:
        if account:
            query["smtp_account_id"] = (await accounts.found(api, account))["id"]
        while len(rows) < arguments.limit:
            size = str(min(arguments.limit - len(rows), _PAGE))
            answer = await api.get("/emails", **query, sort=sort, per_page=size, cursor=cursor)
            rows += answer.data
            cursor, meta = answer.meta.get("next_cursor"), meta or answer.meta
            if not cursor:
                break
    _show_list(context, rows, meta, cursor)


def _show_list(
    context: Context, rows: list[dict[str, Any]], meta: dict[str, Any], cursor: str | None
) -> None:
    if context.as_json:
        context.terminal.say_json(rows)
        return
    narrow = (context.terminal.columns or _WIDE) < _WIDE
    when = moment.age if narrow else moment.shown
    lines = [
        (row["id"], when(row["created_at"]), row["unified_status"], addressees(row), row["subject"])
        for row in rows
    ]
    head = ("ID", "AGE" if narrow else "CREATED", "STATUS", "TO", "SUBJECT")
    context.terminal.table(head, lines, status=2)
    if context.terminal.is_interactive:
        total = f"{'about ' if meta.get('total_estimated') else ''}{meta.get('total', len(rows))}"
        more = f"; more with --limit, or --cursor {cursor}" if cursor else ""
        context.terminal.note(f"{len(rows)} of {total}, as of {moment.shown(meta.get('projected_at'))}{more}")


def addressees(row: dict[str, Any]) -> str:
    """Return who an email is for, in one cell."""
    to = row["to"] if isinstance(row["to"], list) else [row["to"]]
    others = len(to) - 1 + len(row["cc"]) + len(row["bcc"])
    return f"{to[0]} +{others}" if others else str(to[0])


async def cancel(context: Context) -> None:
    """Cancel one email."""
    async with context.api() as api:
        answer = await api.delete(command.path("emails", context.arguments.id))
    _say_status(context, answer.data)


async def reschedule(context: Context) -> None:
    """Move one email."""
    async with context.api() as api:
        body = {"scheduled_at": moment.given(context.arguments.time)}
        answer = await api.patch(command.path("emails", context.arguments.id), body)
    _say_status(context, answer.data)


def _say_status(context: Context, data: dict[str, Any]) -> None:
    if context.as_json:
        context.terminal.say_json(data)
        return
    at = data.get("scheduled_at") if data["status"] == "scheduled" else None
    when = f" for {moment.shown(at)}" if at else ""
    context.terminal.say(context.terminal.status(data["status"]) + when)
