"""What a measurement says: a row with its figure, its control, its bar, and whether the bar is met."""

import math
from collections.abc import Sequence
from pathlib import Path

import msgspec


class Row(msgspec.Struct, kw_only=True):
    """One line of the table. `met` is None where there is nothing to compare with."""

    name: str
    figure: str
    bar: str
    met: bool | None = None
    control: str = ""
    values: dict[str, float] = {}


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which that share of all lies; 0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def table(rows: Sequence[Row]) -> str:
    """Return the rows as aligned text."""
    cells = [("what", "measured", "control", "bar", "")]
    words = {True: "met", False: "MISSED", None: ""}
    cells += [(row.name, row.figure, row.control, row.bar, words[row.met]) for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(5)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def write(rows: Sequence[Row], path: Path) -> None:
    """Write the rows as JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=1) + b"\n")
