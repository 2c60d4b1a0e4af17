"""Where Sendlog is and who we are: the environment, and below it the env file of a local world.

A key from the file is only ever sent to the URL from the same file: a shell pointed at production must not
be given the development key, nor the other way round.
"""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cli.failure import FORBIDDEN, UNAVAILABLE, USAGE, Failure

CHECKOUT: Final = Path(__file__).resolve().parents[1]
_HOW: Final = "`make run` starts a local Sendlog; or set SENDLOG_URL and SENDLOG_API_KEY"


class Environment:
    """SENDLOG_* variables, those of the process before those of the file."""

    def __init__(self, own: Mapping[str, str], file: Mapping[str, str], place: Path | None = None) -> None:
        self._own = {name: value for name, value in own.items() if value}
        self._file = file
        self.place = place

    def get(self, name: str) -> str | None:
        """Return a variable, if it is known."""
        return self._own.get(name) or self._file.get(name)

    def home(self) -> Path:
        """Return the directory that holds a local world's state, which need not be there."""
        known = self.get("SENDLOG_HOME")
        return Path(known) if known else CHECKOUT / ".sendlog"

    def url(self) -> str:
        """Return where the API is. Raises: Failure."""
        url = self.get("SENDLOG_URL")
        if url is None:
            raise Failure(
                f"SENDLOG_URL is not set and there is no {self.home() / 'env'}: {_HOW}", UNAVAILABLE
            )
        if not url.startswith(("http://", "https://")):
            raise Failure(f"SENDLOG_URL={url!r} is not an http or https address", USAGE)
        return url.rstrip("/")

    def api_key(self) -> str:
        """Return the API key that belongs to the URL. Raises: Failure."""
        if "SENDLOG_API_KEY" in self._own:
            return self._own["SENDLOG_API_KEY"]
        if self.url() == self._file.get("SENDLOG_URL", "").rstrip("/") and "SENDLOG_API_KEY" in self._file:
            return self._file["SENDLOG_API_KEY"]
        raise Failure(f"SENDLOG_API_KEY is not set for {self.url()}", FORBIDDEN)

    def needed(self, name: str, what: str) -> str:
        """Return a variable that a command cannot do without. Raises: Failure."""
        value = self.get(name)
        if value is None:
            raise Failure(
                f"{name} is not set: {what} needs it (`make run` writes it to .sendlog/env)", UNAVAILABLE
            )
        return value

    def health(self) -> dict[str, str]:
        """Return the health address of each process that is known, by the process's name."""
        names = sorted({*self._own, *self._file})
        found = {}
        for name in names:
            if name.startswith("SENDLOG_") and name.endswith("_HEALTH"):
                found[name.removeprefix("SENDLOG_").removesuffix("_HEALTH").lower()] = self.get(name) or ""
        return found

    def for_processes(self) -> dict[str, str]:
        """Return the environment for a process of Sendlog's that a command starts."""
        return {**self._file, **self._own}


def read() -> Environment:
    """Read the process's environment, and the env file of $SENDLOG_HOME, this directory or the checkout."""
    for place in _places():
        try:
            return Environment(os.environ, parse(place.read_text(encoding="utf-8")), place)
        except (OSError, UnicodeDecodeError):
            continue
    return Environment(os.environ, {})


def _places() -> list[Path]:
    home = os.environ.get("SENDLOG_HOME")
    if home:
        return [Path(home) / "env"]
    return [Path.cwd() / ".sendlog" / "env", CHECKOUT / ".sendlog" / "env"]


def parse(text: str) -> dict[str, str]:
    """Return the variables of a file of `export NAME='value'` lines; PATH and the like are not ours."""
    found = {}
    for line in text.splitlines():
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            continue
        for word in words:
            name, equals, value = word.partition("=")
            if equals and name.startswith("SENDLOG_"):
                found[name] = value
    return found
