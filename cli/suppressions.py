"""`sendlog suppressions`: who is not written to, one by one or as whole files."""

import argparse
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from cli import command, moment, rebuild, saving
from cli.command import Commands, Context, given
from cli.failure import NO, USAGE, Failure
from cli.terminal import Terminal, clean

if TYPE_CHECKING:
    from cli.api import Api

_REASONS: Final = ("bounce", "complaint", "unsubscribe", "manual")
_POLL: Final = 0.3
_SHOWN: Final = 20


def register(commands: Commands) -> None:
    """Add the commands."""
    suppressions = command.group(commands, "suppressions", "manage the addresses nothing is sent to")
    parser = command.add(suppressions, "list", list_, "list suppressions, newest first")
    parser.add_argument("--email", metavar="ADDRESS", help="this address in any spelling, or a part of one")
    parser.add_argument("--search", metavar="TEXT", help="in address and detail")
    parser.add_argument("--reason", choices=_REASONS)
    parser.add_argument("--limit", type=command.count, default=_SHOWN, metavar="N", help=f"default {_SHOWN}")
    parser = command.add(suppressions, "add", add, "suppress an address; in force at once")
    parser.add_argument("email", metavar="ADDRESS")
    parser.add_argument("--reason", choices=_REASONS, default="manual")
    parser.add_argument("--detail", metavar="TEXT")
    parser = command.add(suppressions, "remove", remove, "take an address off the list")
    parser.add_argument("email", metavar="ADDRESS")
    _register_files(suppressions)


def _register_files(suppressions: Commands) -> None:
    parser = command.add(
        suppressions,
        "import",
        import_,
        "import a CSV file and show how far it is",
        "Columns email, reason, detail, created_at, in this order or as a header names them. A file may be "
        "imported again: what is on the list already stays as it is.",
    )
    parser.add_argument("file", metavar="FILE", type=argparse.FileType("rb"), help="- for standard input")
    parser.add_argument("--reason", choices=_REASONS, default="manual", help="of records that give none")
    parser = command.add(suppressions, "export", export, "write all suppressions as CSV")
    parser.add_argument("--output", metavar="FILE", help="default: standard output")
    parser.add_argument("--reason", choices=_REASONS)


async def list_(context: Context) -> None:
    """List suppressions, up to the limit."""
    arguments = context.arguments
    query = {"email": arguments.email, "q": arguments.search, "reason": arguments.reason}
    async with context.api() as api:
        rows, total = await _first(api, arguments.limit, query)
    if context.as_json:
        context.terminal.say_json(rows)
        return
    lines = [(one["email"], one["reason"], moment.shown(one["created_at"]), one["detail"]) for one in rows]
    context.terminal.table(("ADDRESS", "REASON", "SINCE", "DETAIL"), lines)
    if total > len(rows):
        context.terminal.note(f"{len(rows)} of {total}; --limit shows more")


async def _first(api: "Api", limit: int, query: dict[str, str | None]) -> tuple[list[dict[str, Any]], int]:
    rows: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = await api.get("/suppressions", per_page=str(min(100, limit)), cursor=cursor, **query)
        rows += page.data
        cursor = page.meta.get("next_cursor")
        if not cursor or len(rows) >= limit:
            return rows[:limit], page.meta.get("total", len(rows))


async def add(context: Context) -> None:
    """Suppress an address."""
    arguments = context.arguments
    body = given(email=arguments.email, reason=arguments.reason, detail=arguments.detail)
    async with context.api() as api:
        answer = await api.post("/suppressions", body)
    if context.as_json:
        context.terminal.say_json(answer.data)
        return
    since = moment.shown(answer.data["created_at"])
    context.terminal.say(
        f"{clean(answer.data['email'])} is suppressed ({answer.data['reason']}, since {since})"
    )


async def remove(context: Context) -> None:
    """Take an address off the list."""
    async with context.api() as api:
        answer = await api.delete(command.path("suppressions", context.arguments.email))
    if context.as_json:
        context.terminal.say_json(answer.data)
    else:
        context.terminal.say(f"{clean(answer.data['email'])} is written to again")


async def import_(context: Context) -> None:
    """Send a file, then show how far its import is until it is over."""
    file: BinaryIO = context.arguments.file
    async with context.api() as api:
        started = await api.upload("/suppressions/import", file, "text/csv", reason=context.arguments.reason)
        told = await _followed(api, started.data, context)
    if context.as_json:
        context.terminal.say_json(told)
    else:
        _tell(told, context.terminal)
    if told["status"] != "done":
        raise Failure(f"the import is {told['status']}: {told['error']}", NO)
    if told["rejected"]:
        raise Failure(f"{told['rejected']} records were rejected", NO)


async def _followed(api: "Api", job: dict[str, Any], context: Context) -> dict[str, Any]:
    import asyncio

    terminal = context.terminal
    bar = None if context.as_json else terminal.progress
    while True:
        if bar is not None:
            step = {"done": job["bytes_done"], "total": job["bytes_total"]}
            print(f"\r{rebuild.bar(step, terminal)} bytes", end="", file=bar, flush=True)
        if job["status"] != "running":
            break
        await asyncio.sleep(_POLL)
        job = (await api.get(command.path("suppressions", "imports", job["id"]))).data
    if bar is not None:
        print(file=bar, flush=True)
    return job


def _tell(told: dict[str, Any], terminal: Terminal) -> None:
    for problem in told["problems"][:_SHOWN]:
        terminal.note(f"line {problem['line']}: {clean(problem['message'])}")
    if told["rejected"] > _SHOWN:
        terminal.note(f"... and {told['rejected'] - _SHOWN} more")
    terminal.say(
        f"{told['rows']} records: {told['added']} added, {told['known']} known, {told['rejected']} rejected"
    )


async def export(context: Context) -> None:
    """Write the whole list."""
    arguments = context.arguments
    if context.as_json:
        raise Failure("an export is a CSV file: leave out --json", USAGE)
    await saving.save(context, "/suppressions/export", arguments.output, reason=arguments.reason)
