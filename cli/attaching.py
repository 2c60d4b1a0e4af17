"""The files of `sendlog send --attach`: an email as a form, read from the disk while it is sent."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.failure import USAGE, Failure
from cli.terminal import clean

if TYPE_CHECKING:
    import aiohttp


def form(body: dict[str, Any], files: Sequence[str]) -> "Callable[[], aiohttp.FormData]":
    """Return what makes the form, anew for each try. Raises: Failure, when a file cannot be read."""
    import json

    import aiohttp

    places = [Path(file) for file in files]
    for place in places:
        _open(place).close()

    def make() -> aiohttp.FormData:
        made = aiohttp.FormData(quote_fields=False)  # names go out as they are, in UTF-8
        for name, value in body.items():
            made.add_field(name, value if isinstance(value, str) else json.dumps(value))
        for place in places:
            made.add_field("file", _open(place), filename=place.name)
        return made

    return make


def _open(place: Path) -> Any:
    try:
        return place.open("rb")
    except OSError as error:
        raise Failure(f"--attach {clean(place)}: {clean(error.strerror or error)}", USAGE) from error
