"""What a command is given: its arguments, the environment, the terminal, and the API when it asks for it.

Commands are found by argparse alone; whatever is heavy is imported when a command runs, so that `--help` and
a mistyped word cost nothing.
"""

import argparse
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

from cli.environment import Environment
from cli.failure import EXIT_CODES, USAGE, Failure
from cli.terminal import Terminal, clean

if TYPE_CHECKING:
    from cli.api import Api

_DIGITS: Final = 18
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class Parser(argparse.ArgumentParser):
    """A parser, and with it all its subparsers, that says on one line what is wrong with the command line."""

    def error(self, message: str) -> NoReturn:
        """End the program with the sentence."""
        self.exit(USAGE, f"sendlog: {clean(message)} (see {self.prog} --help)\n")


class Context:
    """One command's surroundings."""

    def __init__(self, arguments: argparse.Namespace, environment: Environment, terminal: Terminal) -> None:
        self.arguments = arguments
        self.environment = environment
        self.terminal = terminal

    @property
    def as_json(self) -> bool:
        """Say whether the output is for a program."""
        return bool(self.arguments.json)

    def api(self) -> "Api":
        """Return the API, not yet connected. Raises: Failure when it is not known where it is."""
        from cli.api import Api

        return Api(self.environment.url(), self.environment.api_key())


Run: TypeAlias = Callable[[Context], Awaitable[int | None]]


def add(commands: Commands, name: str, run: Run, what: str, more: str = "") -> argparse.ArgumentParser:
    """Add a command; `what` says what it does, `more` what else to know."""
    parser = commands.add_parser(
        name,
        help=what,
        description=f"{what[0].upper()}{what[1:]}. {more}".strip(),
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print exactly the API's data")
    parser.set_defaults(run=run)
    return parser


def group(commands: Commands, name: str, what: str) -> Commands:
    """Add a command that has commands of its own."""
    parser = commands.add_parser(
        name,
        help=what,
        description=f"{what[0].upper()}{what[1:]}.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    return parser.add_subparsers(metavar="COMMAND", required=True)


def count(text: str) -> int:
    """Return an argument that is a number of things. Raises: ArgumentTypeError."""
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of 1 or more, not {text!r}")
    return int(text)


def path(*parts: str) -> str:
    """Return a path of the API; what a user typed cannot leave its place in it. Raises: Failure."""
    from urllib.parse import quote

    if wrong := [part for part in parts if part in ("", ".", "..")]:
        raise Failure(f"{wrong[0]!r} is no id", USAGE)
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def given(**values: Any) -> dict[str, Any]:
    """Return what was given at all."""
    return {name: value for name, value in values.items() if value is not None}
