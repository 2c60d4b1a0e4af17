"""DKIM on the command line: which keys an account asks for, what DNS has to show, and whether it does."""

from typing import Any, Final

from cli.terminal import Terminal, clean

KINDS: Final = {"rsa": ["rsa"], "ed25519": ["ed25519"], "both": ["rsa", "ed25519"], "none": []}


def asked(identities: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Return the identities as they are, each asking for this kind of key."""
    kept = [{"address": one["address"], "name": one.get("name", "")} for one in identities]
    return [one | {"dkim": KINDS[kind]} for one in kept]


def tell(account: dict[str, Any], terminal: Terminal) -> None:
    """Print the TXT records that DNS has to have; each once, for identities of a domain share them."""
    keys = [key for identity in account["identities"] for key in identity.get("dkim", ())]
    for key in {key["selector"]: key for key in keys}.values():
        when = "; verify then puts it in the old one's place" if key.get("waits") else ""
        terminal.heading(f"DKIM {clean(key['algorithm'])}: publish this TXT record{when}")
        # On lines of their own and never cut: they are there to be copied.
        terminal.say(clean(key["record_name"]))
        terminal.say(clean(key["record_value"]))


def tell_checks(report: dict[str, Any], terminal: Terminal) -> None:
    """Print what DNS shows of each key."""
    for check in report.get("dkim", ()):
        word = "ok" if check["dns"] == "ok" else "no"
        said = f"{clean(check['dns'])}: {clean(check['message'])}"
        terminal.say(f"{terminal.status(word, 4)}  dkim {clean(check['selector'])}: {said}")
