"""`sendlog rebuild`: the projections made anew from archive and log, while everything goes on."""

import sys
from typing import Any, Final

from cli import command
from cli.command import Commands, Context
from cli.environment import CHECKOUT
from cli.failure import UNAVAILABLE, Failure
from cli.terminal import Terminal, clean

# By name, as the supervisor starts it: the command line imports no service.
MODULE: Final = "services.projector.rebuild"
_BAR: Final = 40


def register(commands: Commands) -> None:
    """Add the command."""
    parser = command.add(
        commands,
        "rebuild",
        rebuild,
        "make the projections anew from archive and log",
        "In place, while live traffic goes on; needs SENDLOG_NATS_URL and SENDLOG_DATABASE_URL.",
    )
    parser.add_argument("--workspace", metavar="NAME", help="only this workspace")


async def rebuild(context: Context) -> None:
    """Run the rebuild as a process and show how far it is."""
    import asyncio

    for name in ("SENDLOG_NATS_URL", "SENDLOG_DATABASE_URL"):
        context.environment.needed(name, "rebuild")
    words = ["--workspace", context.arguments.workspace] if context.arguments.workspace else []
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        MODULE,
        "--json",
        *words,
        cwd=CHECKOUT,
        env=context.environment.for_processes(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    said = asyncio.create_task(process.stderr.read())
    progress = _Progress(context)
    try:
        async for raw in process.stdout:
            progress.take(raw)
        code = await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    progress.end()
    if code != 0:
        words_said = (await said).decode("utf-8", "replace").strip().splitlines()
        reason = words_said[-1].removeprefix("rebuild: ") if words_said else f"exit code {code}"
        raise Failure(f"rebuild: {clean(reason)}", UNAVAILABLE)


class _Progress:
    """How far the rebuild is: a bar for people, lines for files, JSON lines for programs."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._told = -1
        self._report: dict[str, Any] = {}

    def take(self, raw: bytes) -> None:
        """Show one line of progress; anything else the process prints is a log line."""
        import json

        try:
            step = json.loads(raw)
        except ValueError:
            return
        if not isinstance(step, dict) or not step.keys() & {"done", "finished"}:
            return
        terminal = self._context.terminal
        if self._context.as_json:
            terminal.say_json(step, indent=None)
        elif "finished" in step:
            self._report = step
        elif terminal.progress is not None:
            print(f"\r{bar(step, terminal)}", end="", file=terminal.progress, flush=True)
        elif (percent := _percent(step)) // 10 > self._told:
            self._told = percent // 10
            terminal.say(f"{step['done']} of {step.get('total', '?')} events ({percent} %)")

    def end(self) -> None:
        """Leave the bar as it is and say what was done."""
        terminal = self._context.terminal
        if self._context.as_json:
            return
        if terminal.progress is not None:
            print(file=terminal.progress, flush=True)
        counts = [f"{count} {name}" for name, count in self._report.items() if name != "finished"]
        terminal.say(f"rebuilt {clean(', '.join(counts))}".rstrip())


def _percent(step: dict[str, Any]) -> int:
    total = step.get("total") or 0
    return min(100, int(100 * step["done"] / total)) if total else 100


def bar(step: dict[str, Any], terminal: Terminal) -> str:
    """Return the bar for a step."""
    columns = min(_BAR, (terminal.columns or 80) - 36)
    full = columns * _percent(step) // 100
    return f"[{'#' * full}{'.' * (columns - full)}] {_percent(step):>3} %  {step['done']} of {step.get('total', '?')}"
