"""What came back about an email, on one line: who, from where, what of it, and what to do about it."""

from typing import Any, Final

from cli.terminal import clean

_HIT: Final = ("ip_address", "user_agent")
_WORDS: Final = {"action": "", "feedback_type": "", "via": "by ", "url": ""}


def parts(data: dict[str, Any]) -> list[str]:
    """Return what is worth knowing of a signal's data, most important first; nothing for other events."""
    found = []
    if data.get("from_address"):
        found.append(f"from {clean(data['from_address'])}")
    elif data.get("recipient"):
        found.append(clean(data["recipient"]))
    if data.get("machine"):
        found.append(f"a machine, no person ({clean(data.get('reason') or 'no reason given')})")
    elif isinstance(data.get("reason"), str):
        found.append(f"an automatic answer ({clean(data['reason'])})")
    found += [f"{word}{clean(data[name])}" for name, word in _WORDS.items() if data.get(name)]
    if data.get("snippet"):
        found.append(f"“{clean(data['snippet'])}”")
    found += [clean(data[name]) for name in _HIT if data.get(name)]
    return found


def advice(data: dict[str, Any]) -> list[str]:
    """Return what a report's reason means: how bad it is, and what to do."""
    reason = data.get("reason")
    if not isinstance(reason, dict) or "suggested_action" not in reason or not _is_report(data):
        return []
    kind = f"{clean(data['kind'])} bounce" if data.get("kind") else clean(reason["category"])
    told = [kind, f"do: {clean(reason['suggested_action'])}"]
    diagnostic = data.get("diagnostic")
    if diagnostic and diagnostic not in str(reason.get("message")):
        told.insert(1, clean(diagnostic))
    return told


def _is_report(data: dict[str, Any]) -> bool:
    return bool(data.get("kind") or data.get("raw_key"))
