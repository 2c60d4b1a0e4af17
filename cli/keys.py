"""`sendlog keys`: who may use the API, and for what."""

from cli import accounts, command, moment
from cli.command import Commands, Context, given
from cli.terminal import clean


def register(commands: Commands) -> None:
    """Add the commands."""
    keys = command.group(commands, "keys", "manage API keys")
    command.add(keys, "list", list_, "list the API keys")
    parser = command.add(keys, "add", add, "make an API key and print it, this once")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument(
        "--permission",
        action="append",
        required=True,
        metavar="P",
        help="such as email.send, or `all`; may be repeated",
    )
    parser.add_argument("--expires", metavar="TIME", help="RFC 3339, or +30d from now")
    parser.add_argument("--environment", metavar="LABEL")
    parser.add_argument("--rate-limit", type=command.count, metavar="N", help="requests a minute")
    parser = command.add(keys, "remove", remove, "revoke an API key")
    parser.add_argument("id", metavar="ID")


async def list_(context: Context) -> None:
    """List the keys, without their tokens."""
    async with context.api() as api:
        rows = await accounts.every(api, "/keys")
    if context.as_json:
        context.terminal.say_json(rows)
        return
    head = ("ID", "NAME", "LABEL", "LAST USED", "EXPIRES", "PER MINUTE", "PERMISSIONS")
    lines = [
        (
            row["id"],
            row["name"],
            row["environment"],
            moment.shown(row["last_used_at"]) or "never",
            moment.shown(row["expires_at"]) or "never",
            row["rate_limit"],
            " ".join(row["permissions"]),
        )
        for row in rows
    ]
    context.terminal.table(head, lines)


async def add(context: Context) -> None:
    """Make a key."""
    arguments = context.arguments
    body = given(
        name=arguments.name,
        permissions=_permissions(arguments.permission),
        expires_at=moment.given(arguments.expires) if arguments.expires else None,
        environment=arguments.environment,
        rate_limit=arguments.rate_limit,
    )
    async with context.api() as api:
        answer = await api.post("/keys", body)
    if context.as_json:
        context.terminal.say_json(answer.data)
    else:
        context.terminal.say(clean(answer.data["key"]))


def _permissions(given: list[str]) -> list[str]:
    if "all" not in given:
        return given
    from shared.runtime.configuration import PERMISSIONS

    return list(PERMISSIONS)


async def remove(context: Context) -> None:
    """Revoke a key."""
    async with context.api() as api:
        answer = await api.delete(command.path("keys", context.arguments.id))
    if context.as_json:
        context.terminal.say_json(answer.data)
    else:
        context.terminal.say(f"revoked {clean(answer.data['name'])}")
