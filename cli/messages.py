"""`sendlog validate`, `resend`, `raw`: an email before it is sent, once more, and as the bytes it is."""

from typing import Any

from cli import accounts, command, emails, moment, saving
from cli.command import Commands, Context
from cli.failure import NO, OK
from cli.terminal import Terminal, clean, clean_text


def register(commands: Commands) -> None:
    """Add the commands."""
    parser = command.add(
        commands,
        "validate",
        validate,
        "tell what a send would do, and send nothing",
        "Takes the arguments of send. Ends with 1 when a recipient has no address.",
    )
    emails.describe(parser)
    parser = command.add(
        commands,
        "resend",
        resend,
        "send an email once more and print the new id",
        "The same content to the same recipients, at once. It is repeated with the same key while no answer comes.",
    )
    parser.add_argument("id", metavar="ID")
    parser.add_argument("--idempotency-key", metavar="KEY", help="default: a random one")
    parser = command.add(commands, "raw", raw, "print the exact message of an email")
    parser.add_argument("id", metavar="ID")
    parser.add_argument("--output", "-o", metavar="FILE", help="write it there")


async def validate(context: Context) -> int:
    """Try a send."""
    arguments = context.arguments
    body = emails.submission(arguments)
    async with context.api() as api:
        if arguments.account:
            body["smtp_account_id"] = (await accounts.found(api, arguments.account))["id"]
        answer = await api.post("/emails/validate", body)
    if context.as_json:
        context.terminal.say_json(answer.data)
    else:
        _tell(answer.data, context.terminal)
    return OK if answer.data["valid"] else NO


def _tell(dry: dict[str, Any], terminal: Terminal) -> None:
    size = f"{dry['size']:,} bytes" if dry["size"] is not None else "unknown while a recipient has no address"
    rows = [
        ("From", clean(dry["from"])),
        ("Subject", clean(dry["subject"])),
        ("Size", size),
        ("Account", clean(dry["smtp_account_id"])),
        ("Scheduled", moment.shown(dry["scheduled_at"])),
        ("Files", ", ".join(clean(one["filename"]) for one in dry["attachments"])),
        *[("Warning", clean(one["message"])) for one in dry["warnings"]],
    ]
    terminal.pairs(rows)
    terminal.heading("Recipients")
    terminal.table(
        ("ROLE", "ADDRESS", "VERDICT", "REASON"),
        [(one["role"], one["address"], one["verdict"], one["reason"]) for one in dry["recipients"]],
    )
    if dry["links"]:
        terminal.heading("Links")
        for link in dry["links"]:
            terminal.say(f"  {clean(link)}")
    for kind in ("text", "html"):
        if dry[kind]:
            terminal.heading(kind)
            terminal.say(clean_text(dry[kind]))


async def resend(context: Context) -> None:
    """Send one email again, surely once."""
    key = context.arguments.idempotency_key or emails.fresh_key()
    async with context.api() as api:
        path = command.path("emails", context.arguments.id) + "/resend"
        answer = await api.post_for_sure(path, None, key)
    if context.as_json:
        context.terminal.say_json(answer.data)
    else:
        context.terminal.say(clean(answer.data["id"]))


async def raw(context: Context) -> None:
    """Write the message out, byte by byte as it is."""
    path = command.path("emails", context.arguments.id) + "/raw"
    await saving.save(context, path, context.arguments.output)
