"""The corpus: what is in it, what the reader makes of it, and how the two compare.

A collection is a folder with messages (packed or plain), their licence, and a manifest.jsonl of ours that says of
each message which class it belongs to, about whom it is and whether those addresses are good ones.
"""

import lzma
import tarfile
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from services.tracker import inbound
from services.tracker.evidence import Telling
from services.tracker.signals import complaint, dsn, mdn, reply

HERE: Final = Path(__file__).parent
COLLECTIONS: Final = ("set_of_emails", "flufl_bounce", "own")
CLASSES: Final = (
    "hard", "soft", "delayed", "delivered", "auto-reply", "complaint", "read", "reply", "nothing",
)  # fmt: skip


class Expected(msgspec.Struct, frozen=True):
    """What a message says about one recipient. `reason` is the collection's own label, where it has one."""

    class_: str = msgspec.field(name="class")
    good_address: bool = True
    recipient: str | None = None
    code: str | None = None
    smtp_code: int | None = None
    reason: str = ""


class Entry(msgspec.Struct, frozen=True):
    """A line of a manifest. Rules were tuned on the half `tune`; `measure` was only measured."""

    file: str
    half: str
    expected: tuple[Expected, ...]
    labelled_by: str = "us"
    why: str = ""


class Judged(NamedTuple):
    """What the reader made of a message, for one recipient."""

    class_: str
    recipient: str = ""
    code: str | None = None
    smtp_code: int = 0


def entries(collection: str) -> list[Entry]:
    """Return the manifest of a collection."""
    lines = (HERE / collection / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    return [msgspec.json.decode(line, type=Entry) for line in lines]


def messages(collection: str) -> dict[str, bytes]:
    """Return the messages of a collection by name."""
    folder = HERE / collection
    packed = folder / "messages.tar.xz"
    if not packed.exists():
        return {path.name: path.read_bytes() for path in sorted(folder.glob("*.eml"))}
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=BytesIO(lzma.decompress(packed.read_bytes()))) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is not None:
                found[member.name] = file.read()
    return found


def everything() -> Iterator[bytes]:
    """Yield every message of every collection."""
    for collection in COLLECTIONS:
        yield from messages(collection).values()


def judged(raw: bytes) -> list[Judged]:
    """Return what the reader makes of a message, in the words of the manifest."""
    return _judged(inbound.read(raw)[1])


def _judged(telling: Telling) -> list[Judged]:
    if isinstance(telling, dsn.Telling):
        findings = telling.report.findings
        return [
            Judged(
                _class(one.verdict.kind),
                one.original or one.recipient,
                one.verdict.code,
                one.verdict.smtp_code,
            )
            for one in findings
        ]
    if isinstance(telling, complaint.Telling):
        named = telling.complaint.recipients
        kind = "complaint" if telling.complaint.is_complaint else "nothing"
        return [Judged(kind, one) for one in named] or [Judged(kind)]
    if isinstance(telling, mdn.Telling):
        kind = "read" if telling.disposition.kind == "displayed" else "nothing"
        return [Judged(kind, telling.disposition.final_recipient)]
    assert isinstance(telling, reply.Telling)
    refers = bool(telling.message_ids)
    if telling.automatic is not None and (refers or telling.automatic not in ("bulk", "list")):
        return [Judged("auto-reply", telling.from_address)]
    return [Judged("reply" if refers and telling.automatic is None else "nothing", telling.from_address)]


def _class(kind: str) -> str:
    return "delivered" if kind in ("relayed", "expanded") else kind


class Outcome(NamedTuple):
    """How one expectation fared: right, wrong or unknown."""

    file: str
    expected: Expected
    got: Judged | None

    @property
    def word(self) -> str:
        """Right, wrong, or unknown where the reader did not commit itself."""
        if self.got is None or self.got.class_ == "unknown":
            return "unknown"
        return "right" if self.got.class_ == self.expected.class_ else "wrong"


def compare(entry: Entry, raw: bytes) -> list[Outcome]:
    """Pair each expectation with what was judged of its recipient, or of any where the label names none."""
    left = judged(raw)
    outcomes = []
    for wanted in sorted(entry.expected, key=lambda one: one.recipient is None):
        got = _match(wanted, left)
        if got is not None:
            left.remove(got)
        outcomes.append(Outcome(entry.file, wanted, got))
    return outcomes


def _match(wanted: Expected, left: Sequence[Judged]) -> Judged | None:
    if wanted.recipient:
        return next((one for one in left if one.recipient.lower() == wanted.recipient.lower()), None)
    return next((one for one in left if one.class_ == wanted.class_), left[0] if left else None)


def suppressed(entry: Entry, raw: bytes) -> list[str]:
    """Return the good addresses that a hard verdict would suppress."""
    hard = [one.recipient.lower() for one in judged(raw) if one.class_ == "hard"]
    bad = [one for one in entry.expected if not one.good_address]
    if any(one.recipient for one in entry.expected):
        gone = {(one.recipient or "").lower() for one in bad}
        return [one for one in hard if one not in gone]
    return sorted(hard)[: max(0, len(hard) - len(bad))]
