"""`sendlog workspaces`: tenants, written straight into the configuration buckets.

No key of the API can make a workspace, since each belongs to one; whoever reaches the broker is the operator.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cli import command, moment
from cli.command import Commands, Context
from cli.failure import NO, USAGE, Failure
from cli.terminal import clean

if TYPE_CHECKING:
    from nats.aio.client import Client


def register(commands: Commands) -> None:
    """Add the commands."""
    workspaces = command.group(commands, "workspaces", "manage workspaces, through the broker")
    command.add(workspaces, "list", list_, "list the workspaces")
    parser = command.add(workspaces, "add", add, "add a workspace and print its first key, this once")
    parser.add_argument("name", metavar="NAME", help="lower case letters, digits, - and _")


async def list_(context: Context) -> None:
    """List the workspaces."""
    from cli import broker
    from shared.runtime import topology
    from shared.runtime.buckets import Bucket
    from shared.runtime.configuration import Workspace

    async with broker.connected(context.environment, "workspaces") as client:
        bucket = Bucket(client, topology.WORKSPACES, Workspace)
        await bucket.open()
        found = sorted(bucket.items().values(), key=lambda workspace: workspace.name)
        await bucket.close()
    rows = [
        {"name": one.name, "created_at": _time(one.created_at), "default_account_id": one.default_account_id}
        for one in found
    ]
    if context.as_json:
        context.terminal.say_json(rows)
        return
    lines = [(row["name"], moment.shown(row["created_at"]), row["default_account_id"]) for row in rows]
    context.terminal.table(("NAME", "CREATED", "DEFAULT ACCOUNT"), lines)


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


async def add(context: Context) -> None:
    """Add a workspace with a key that may do everything."""
    from cli import broker
    from shared.runtime.configuration import WORKSPACE_NAME

    name = context.arguments.name
    if not WORKSPACE_NAME.fullmatch(name):
        raise Failure(
            f"{name!r} is no name for a workspace: lower case letters, digits, - and _, at most 63", USAGE
        )
    async with broker.connected(context.environment, "workspaces") as client:
        made = await _make(client, name)
    if context.as_json:
        context.terminal.say_json(made)
    else:
        context.terminal.say(clean(made["key"]))


async def _make(client: "Client", name: str) -> dict[str, Any]:
    """Write the key, then the workspace: cut short in between, no workspace is left that nobody can enter."""
    import uuid

    from shared.runtime import configuration, topology
    from shared.runtime.buckets import Bucket, Changed

    keys = Bucket(client, topology.KEYS, configuration.ApiKey)
    workspaces = Bucket(client, topology.WORKSPACES, configuration.Workspace)
    if await workspaces.read(name) is not None:
        raise Failure(f"there is a workspace {name!r} already", NO)
    token, now = configuration.new_token(), datetime.now(UTC)
    key = configuration.ApiKey(
        id=str(uuid.uuid4()),
        workspace=name,
        name="first key",
        permissions=configuration.PERMISSIONS,
        created_at=now,
    )
    await keys.put(configuration.hash_token(token), key)
    try:
        await workspaces.put(name, configuration.Workspace(name=name, created_at=now), revision=0)
    except Changed:
        await keys.delete(configuration.hash_token(token))
        raise Failure(f"there is a workspace {name!r} already", NO) from None
    return {"name": name, "created_at": _time(now), "key_id": key.id, "key": token}
