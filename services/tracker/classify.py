"""What a message would be taken as, told without a world around it: `python -m services.tracker.classify`.

Reads messages from standard input, each behind a line of JSON with its name and size, and writes one line of
JSON for each. The very code that reads inbound mail reads them here; nothing is looked up, kept or sent.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

import msgspec

from services.tracker import inbound, quoting, report
from services.tracker.addressing import own_addresses
from services.tracker.signals import complaint, dsn, mdn, reply, unsubscribe

MAX_TO: Final = 100
# Of several recipients the worst speaks for the message: a failure outranks what arrived.
_RANK: Final = ("hard", "soft", "unknown", "delayed", "delivered", "relayed", "expanded")
_ANSWER: Final = re.compile(
    r"\s{0,4}(?:re|aw|antw|sv|vs|odp|rv|res|ynt|回复|答复)\s{0,2}(?:\[\d{1,3}\])?[:：]", re.IGNORECASE
)
# What machines send of themselves has these marks as well.
_SENT_TO_MANY: Final = frozenset({"bulk", "list", "sender"})
_SIGNALS: Final = {"hard": "bounced", "soft": "bounced", "unknown": "bounced", "delayed": "delayed"}


class Head(msgspec.Struct):
    """The line before a message."""

    file: str
    size: int


class About(msgspec.Struct, rename={"class_": "class"}):
    """What a report says of one recipient."""

    recipient: str
    action: str
    class_: str
    code: str | None
    smtp_code: int | None
    category: str | None
    message: str
    suggested_action: str | None


class Classified(msgspec.Struct, kw_only=True, rename={"class_": "class"}):
    """One message. `signal` is the event it could become, `auto` that no person wrote it; `class`, `code` and
    what follows from them are those of the recipient who fares worst, `findings` those of each."""

    file: str
    kind: str
    signal: str | None = None
    class_: str | None = None
    code: str | None = None
    smtp_code: int | None = None
    category: str | None = None
    recipients: list[str] = []
    suggested_action: str | None = None
    auto: bool = True
    auto_reason: str | None = None
    to: list[str] = []
    subject: str = ""
    snippet: str | None = None
    message_ids: Sequence[str] = ()
    envid: str | None = None
    findings: list[About] = []


def classify(file: str, raw: bytes) -> Classified:
    """Return what the message is. Pure; never raises."""
    message, telling = inbound.read(raw)
    made = Classified(
        file=file,
        kind=telling.kind,
        to=list(dict.fromkeys(own_addresses(message)))[:MAX_TO],
        subject=message.field("subject"),
        message_ids=telling.message_ids,
        envid=telling.envid or None,
    )
    match telling:
        case dsn.Telling():
            _report(made, telling)
        case mdn.Telling():
            _receipt(made, telling)
        case complaint.Telling():
            _complaint(made, telling)
        case unsubscribe.Telling():
            made.auto, made.signal, made.recipients = False, "unsubscribed", _named(telling.from_address)
        case reply.Telling():
            _reply(made, telling)
    return made


def _report(made: Classified, telling: dsn.Telling) -> None:
    made.findings = sorted(map(_about, telling.report.findings), key=lambda one: _RANK.index(one.class_))
    made.recipients = [one.recipient for one in made.findings if one.recipient]
    if made.findings:
        worst = made.findings[0]
        made.class_, made.code, made.smtp_code = worst.class_, worst.code, worst.smtp_code
        made.category, made.suggested_action = worst.category, worst.suggested_action
        made.signal = _SIGNALS.get(worst.class_, "delivered")


def _about(finding: report.Finding) -> About:
    said = finding.verdict
    is_trouble = said.kind in _SIGNALS
    return About(
        recipient=finding.original or finding.recipient,
        action=finding.action,
        class_=said.kind,
        code=said.code,
        smtp_code=said.smtp_code or None,
        category=said.category if is_trouble else None,
        message=said.text,
        suggested_action=said.suggested_action if is_trouble else None,
    )


def _receipt(made: Classified, telling: mdn.Telling) -> None:
    made.class_ = telling.disposition.kind
    made.recipients = _named(telling.disposition.final_recipient)
    made.signal = "read" if made.class_ == "displayed" else None


def _complaint(made: Classified, telling: complaint.Telling) -> None:
    made.class_ = telling.complaint.feedback_type
    made.recipients = list(telling.complaint.recipients)
    made.signal = "complained" if telling.complaint.is_complaint else None


def _reply(made: Classified, telling: reply.Telling) -> None:
    made.auto, made.auto_reason = telling.automatic is not None, telling.automatic
    made.recipients = _named(telling.from_address)
    made.snippet = quoting.snippet(telling.text) or None
    is_answer = bool(telling.message_ids or _ANSWER.match(telling.subject))
    if made.auto and (is_answer or telling.automatic not in _SENT_TO_MANY):
        made.signal, made.class_ = "auto_replied", "auto-reply"
    elif is_answer:
        made.signal = "replied"
    else:
        made.kind = "other"  # inbound mail takes it for a reply when it came to a signed address


def _named(address: str) -> list[str]:
    return [address] if address else []


def messages(source: BinaryIO) -> Iterator[tuple[str, bytes]]:
    """Yield each message with its name. Raises: msgspec.MsgspecError for what is no line of ours."""
    while line := source.readline():
        head = msgspec.json.decode(line, type=Head)
        yield head.file, source.read(head.size)


def main() -> None:
    """Classify what comes in until it ends."""
    for file, raw in messages(sys.stdin.buffer):
        sys.stdout.buffer.write(msgspec.json.encode(classify(file, raw)) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
