"""`sendlog doctor`: looks at every dependency and says what is wrong and what to do.

A check that cannot be made is a finding, never an end: the one thing a doctor must not do is faint.
"""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from cli import command
from cli.command import Commands, Context
from cli.failure import NO, OK
from cli.terminal import Terminal, clean, pad, width

if TYPE_CHECKING:
    from cli.checks.finding import Finding

_NAME_COLUMNS = 28


def register(commands: Commands) -> None:
    """Add the command."""
    command.add(
        commands,
        "doctor",
        doctor,
        "check every dependency and say what to do",
        "Exit code 1 when something FAILs; a WARN is worth a look and no failure.",
    )


async def doctor(context: Context) -> int:
    """Look at everything and print it line by line."""
    found = []
    async for finding in _examine(context):
        found.append(finding)
        if not context.as_json:
            tell(finding, context.terminal)
    if context.as_json:
        context.terminal.say_json([finding._asdict() for finding in found])
    return NO if any(finding.verdict == "FAIL" for finding in found) else OK


async def _examine(context: Context) -> AsyncIterator["Finding"]:
    from cli.checks import broker, database, processes, storage
    from cli.checks.finding import bad, good, odd

    place = context.environment.place
    if place is not None:
        yield good("environment", f"{place}")
    elif context.environment.get("SENDLOG_URL"):
        yield good("environment", "variables of this shell")
    else:
        yield odd("environment", "no SENDLOG_URL and no .sendlog/env", "make run starts a local Sendlog")
    for part in (broker, database, processes, storage):
        try:
            async for finding in part.look(context.environment):
                yield finding
        except Exception as error:
            name = part.__name__.rsplit(".", 1)[1]
            yield bad(
                name, f"could not be looked at: {error!r}", "this is a fault of the doctor's: report it"
            )


def tell(finding: "Finding", terminal: Terminal) -> None:
    """Print a finding, and below it what to do."""
    name = clean(finding.name)
    gap = " " * max(0, _NAME_COLUMNS - width(name))
    terminal.say(f"{terminal.status(finding.verdict, 4)}  {name}{gap}  {clean(finding.message)}")
    if finding.action:
        terminal.say(f"{pad('', 4)}  {pad('', _NAME_COLUMNS)}  → {clean(finding.action)}")
