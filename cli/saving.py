"""Files of the API as they are written down: whole, or not at all."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cli.command import Context
from cli.failure import USAGE, Failure


async def save(context: Context, path: str, output: str | None, **query: str | None) -> None:
    """Write a file of the API to a new file, or to standard output. Raises: Failure."""
    with _opened(output) as out:
        async with context.api() as api:
            async for piece in api.download(path, **query):
                out.write(piece)
        out.flush()


@contextmanager
def _opened(output: str | None) -> Iterator[BinaryIO]:
    """Open a new file, or standard output; a file that does not become whole is taken away again."""
    if output is None:
        yield sys.stdout.buffer
        return
    try:
        with Path(output).open("xb") as file:
            yield file
    except FileExistsError as error:
        raise Failure(f"{output} is there already", USAGE) from error
    except BaseException:
        Path(output).unlink(missing_ok=True)  # half a file looks like a whole one
        raise
