"""`sendlog`: parses the command line, runs one command, and turns whatever happens into an exit code."""

import argparse
import os
import sys
from collections.abc import Sequence

from cli import (
    accounts,
    dead_letters,
    doctor,
    emails,
    environment,
    ingest,
    keys,
    messages,
    rebuild,
    show,
    stats,
    suppressions,
    tail,
    templates,
    workspaces,
)
from cli.command import Context, Parser
from cli.failure import EXIT_CODES, FAULT, INTERRUPTED, OK, UNAVAILABLE, Failure
from cli.terminal import Terminal, clean

_GROUPS = (
    emails,
    messages,
    show,
    stats,
    tail,
    accounts,
    keys,
    templates,
    suppressions,
    workspaces,
    rebuild,
    ingest,
    dead_letters,
    doctor,
)
_DESCRIPTION = """\
Sendlog on the command line.

Reads SENDLOG_URL, SENDLOG_API_KEY, SENDLOG_NATS_URL and SENDLOG_DATABASE_URL from the environment, and what is
not there from $SENDLOG_HOME/env or .sendlog/env, which `make run` writes. `sendlog COMMAND --help` says more.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    found = Parser(
        prog="sendlog",
        description=_DESCRIPTION,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = found.add_subparsers(metavar="COMMAND", required=True)
    for group in _GROUPS:
        group.register(commands)
    return found


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    arguments = parser().parse_args(words)
    terminal = Terminal()
    try:
        return _run(Context(arguments, environment.read(), terminal))
    except Failure as failure:
        terminal.note(f"sendlog: {clean(failure.message)}")
        return failure.code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as error:
        terminal.note(f"sendlog: {clean(error)}")
        return UNAVAILABLE
    except Exception as error:
        if os.environ.get("SENDLOG_DEBUG"):
            raise
        terminal.note(f"sendlog: a fault of the command line: {clean(repr(error))}")
        return FAULT


def _run(context: Context) -> int:
    import asyncio

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that lacks a character is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    return asyncio.run(context.arguments.run(context)) or OK


if __name__ == "__main__":
    sys.exit(main())
