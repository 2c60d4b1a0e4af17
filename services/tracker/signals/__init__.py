"""What may come back about an email by mail: one file a signal, each with all that is particular to it.

A file is found by being here. It has `recognise(message)`, which returns a Telling or None, and `RANK`: the lowest
that recognises a message has it.
"""

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from typing import TypeAlias

from services.tracker import mime
from services.tracker.evidence import Telling

Recogniser: TypeAlias = Callable[[mime.Part], Telling | None]


def recognisers() -> Sequence[Recogniser]:
    """Return what recognises a signal, in the order they are asked."""
    modules = [
        importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)
    ]
    return tuple(module.recognise for module in sorted(modules, key=lambda module: module.RANK))
