"""How a command ends when it does not end well: one sentence for people, one number for scripts."""

from typing import Final

OK: Final = 0
NO: Final = 1
USAGE: Final = 2
UNAVAILABLE: Final = 3
FORBIDDEN: Final = 4
FAULT: Final = 70
INTERRUPTED: Final = 130

EXIT_CODES: Final = """\
exit codes:
  0  done
  1  the answer is no: not found, refused, too late, or doctor found problems
  2  the command line is wrong
  3  something is not reachable or not available now: try again
  4  the API key is missing, unknown, or lacks a permission
 70  a fault of the command line itself (SENDLOG_DEBUG=1 shows where)
"""


class Failure(Exception):
    """The command cannot do what was asked; `code` is the exit code."""

    def __init__(self, message: str, code: int = NO) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
