"""`sendlog show ID`: everything that is known of one email, in the order a person asks for it.

What is it, where is it and why, who got it, what happened when, and what was said to the next hop.
"""

from typing import Any, Final

from cli import command, moment, signals
from cli.command import Commands, Context
from cli.terminal import Terminal, clean, clean_text, fit, pad, width

_TIMES: Final = (
    ("Created", "created_at"),
    ("Scheduled", "scheduled_at"),
    ("Sent", "sent_at"),
    ("Delivered", "delivered_at"),
    ("Opened", "first_opened_at"),
    ("Clicked", "first_clicked_at"),
    ("Read", "read_at"),
    ("Replied", "first_replied_at"),
    ("Bounced", "bounced_at"),
    ("Complained", "complained_at"),
    ("Failed", "failed_at"),
    ("Cancelled", "cancelled_at"),
    ("Next attempt", "next_attempt_at"),
)
_DETAILS: Final = {
    "release": "release",
    "attempt": "attempt",
    "round": "round",
    "scheduled_at": "to",
    "next_attempt_at": "next",
}
_VERB_COLUMNS: Final = 44


def register(commands: Commands) -> None:
    """Add the command."""
    parser = command.add(
        commands,
        "show",
        show,
        "tell the whole story of one email",
        "Status and why, recipients, timeline, and the SMTP conversation of each attempt.",
    )
    parser.add_argument("id", metavar="ID")
    parser.add_argument("--content", action="store_true", help="show the bodies, too")


async def show(context: Context) -> None:
    """Read one email and tell it."""
    include = "attempts,events,content" if context.arguments.content else "attempts,events"
    async with context.api() as api:
        answer = await api.get(command.path("emails", context.arguments.id), include=include)
    if context.as_json:
        context.terminal.say_json(answer.data)
    else:
        tell(answer.data, context.terminal)


def tell(email: dict[str, Any], terminal: Terminal) -> None:
    """Print the story of an email."""
    _head(email, terminal)
    _recipients(email, terminal)
    _timeline(email, terminal)
    for attempt in email.get("attempts") or ():
        _attempt(attempt, terminal)
    for kind in ("text", "html"):
        if email.get(kind):
            terminal.heading(kind)
            terminal.say(clean_text(email[kind]))


def _head(email: dict[str, Any], terminal: Terminal) -> None:
    told, raw = email["unified_status"], email["status"]
    status = terminal.status(raw) if told == raw else f"{terminal.status(raw)} (told as {told})"
    rows: list[tuple[str, str | None]] = [
        ("Email", clean(email["id"])),
        ("Status", status),
        *_why(email.get("status_reason")),
    ]
    rows += [(name, _listed(email.get(name.lower()))) for name in ("From", "To", "Cc", "Bcc", "Subject")]
    rows += [(name, moment.shown(email.get(field))) for name, field in _TIMES]
    rows += [
        ("Unsubscribed", moment.shown(_first(email, "email.unsubscribed"))),
        ("Opens", _hits(email.get("open_count"), email.get("machine_open_count"))),
        ("Clicks", _hits(email.get("click_count"), None)),
        ("Attempts", str(email["attempt_count"])),
        ("Message-ID", clean(email["message_id"])),
        ("Account", clean(email["smtp_account_id"])),
        ("Batch", _listed(email.get("batch_id"))),
        ("Resent from", _listed(email.get("resent_from"))),
        ("Tags", _listed(email.get("tags"))),
        *[
            (
                "" if number else "Attachments",
                f"{clean(one['filename'])}, {clean(one['contentType'])}, {one['sizeBytes']:,} bytes",
            )
            for number, one in enumerate(email.get("attachments") or ())
        ],
        ("Metadata", _listed([f"{name}={value}" for name, value in (email.get("metadata") or {}).items()])),
    ]
    terminal.pairs(rows)


def _first(email: dict[str, Any], kind: str) -> str | None:
    """Return when this happened first, by the timeline."""
    return min((one["occurred_at"] for one in email.get("events") or () if one["type"] == kind), default=None)


def _why(reason: dict[str, Any] | None) -> list[tuple[str, str]]:
    if reason is None:
        return []
    again = "will be tried again" if reason["retryable"] else "will not be tried again"
    return [
        ("Why", _said(reason)),
        ("", f"{clean(reason['category'])}; {again}"),
        ("Do", clean(reason["suggested_action"])),
    ]


def _said(reason: dict[str, Any]) -> str:
    """Return a reason with its code; what a server said begins with it already."""
    code, message = clean(reason["code"]), clean(reason["message"])
    return message if message.startswith(code) else f"{code}: {message}"


def _hits(people: int | None, machines: int | None) -> str:
    parts = [f"{people} by people"] if people else []
    return ", ".join([*parts, f"{machines} by machines"] if machines else parts)


def _listed(value: Any) -> str:
    values = value if isinstance(value, list) else [value] if value is not None else []
    return ", ".join(clean(one) for one in values)


def _recipients(email: dict[str, Any], terminal: Terminal) -> None:
    terminal.heading("Recipients")
    head = ("ROLE", "ADDRESS", "STATUS", "REPLY", "REASON")
    rows = [
        (one["role"], one["address"], one["status"], _code(one), one.get("reason"))
        for one in email["recipients"]
    ]
    terminal.table(head, rows, status=2)


def _code(result: dict[str, Any]) -> str:
    return " ".join(str(part) for part in (result.get("smtp_code"), result.get("enhanced_code")) if part)


def _timeline(email: dict[str, Any], terminal: Terminal) -> None:
    events = email.get("events") or []
    if not events:
        return
    terminal.heading("Timeline")
    began = moment.read(events[0]["occurred_at"])
    names = [clean(event["type"].removeprefix("email.")) for event in events]
    columns = max(map(width, names))
    for name, event in zip(names, events, strict=True):
        at = moment.read(event["occurred_at"])
        later = f"+{moment.distance((at - began).total_seconds())}" if at and began else ""
        line = f"{moment.shown(event['occurred_at'])}  {pad(later, 8)}  "
        detail = summary(event.get("data") or {})
        if terminal.columns is not None:
            detail = fit(detail, max(20, terminal.columns - width(line) - columns - 2))
        terminal.say(f"{line}{terminal.status(name, columns)}  {detail}".rstrip())


def summary(data: dict[str, Any]) -> str:
    """Return what is worth knowing of an event, on one line."""
    parts = signals.parts(data)
    reason = data.get("reason")
    if isinstance(reason, dict):
        parts += [_said(reason), *signals.advice(data)]
    for result in data.get("recipients") or ():
        parts.append(clean(f"{result['address']} {result['status']} {_code(result)}".strip()))
    for name, word in _DETAILS.items():
        value = data.get(name)
        if value is not None:
            parts.append(f"{word} {clean(moment.shown(value) if name.endswith('_at') else value)}")
    return "; ".join(parts)


def _attempt(attempt: dict[str, Any], terminal: Terminal) -> None:
    outcome = attempt["outcome"] or "under way"
    terminal.heading(f"Attempt {attempt['attempt']} (round {attempt['round']}): {clean(outcome)}")
    spoken = attempt.get("conversation") or {}
    terminal.pairs(
        [
            ("Started", moment.shown(attempt["started_at"])),
            ("Finished", moment.shown(attempt["finished_at"])),
            *_why(attempt.get("reason")),
            ("Next", moment.shown(attempt.get("next_attempt_at"))),
            ("Server", _listed(spoken.get("server"))),
            ("Session", _session(spoken)),
        ]
    )
    if spoken.get("lines"):
        terminal.say()
    for line in spoken.get("lines") or ():
        _line(line, terminal)


def _session(spoken: dict[str, Any]) -> str:
    if not spoken:
        return ""
    parts = ["reused" if spoken.get("reused") else "new", clean(spoken.get("tls") or "in clear")]
    if spoken.get("phase"):
        parts.append(f"ended in {clean(spoken['phase'])}")
    return ", ".join(parts)


def _line(line: dict[str, Any], terminal: Terminal) -> None:
    """Print one exchange: when, what we said, and below each other what was answered."""
    verb = clean(line["verb"])
    replies = [clean(reply) for reply in str(line.get("reply") or "").splitlines()] or ["(no reply)"]
    indent = " " * 15
    if width(verb) > _VERB_COLUMNS:
        terminal.say(f"  {line['at_ms']:>8.1f} ms  {verb}")
    else:
        first = replies.pop(0)
        terminal.say(f"  {line['at_ms']:>8.1f} ms  {pad(verb, _VERB_COLUMNS)}  {first}")
    for reply in replies:
        terminal.say(f"{indent}{' ' * _VERB_COLUMNS}  {reply}")
