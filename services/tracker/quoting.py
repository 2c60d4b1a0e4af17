"""What a person wrote in a reply, without what the mail client quoted beneath or above it. Pure."""

import re
from typing import Final

MAX_SNIPPET: Final = 500
_QUOTED: Final = re.compile(r"\s{0,3}[>|]")
# The line by which clients introduce the quotation, in the languages they speak.
_INTRODUCTION: Final = re.compile(
    r"""^\s{0,4}(?:
        (?:on|am|le|el|il|em|op|den|dnia|\u0432|w\ dniu)\b.{5,300}(?:wrote|schrieb|a\ \u00e9crit
            |escribi\u00f3|ha\ scritto|escreveu|schreef|skrev|napisa\u0142
            |\u043f\u0438\u0448\u0435\u0442|\u043d\u0430\u043f\u0438\u0441\u0430\u043b).{0,100}:
        |.{0,200}<[^<>\s]{3,200}@[^<>\s]{3,200}>.{0,40}(?:wrote|schrieb|\u00e9crit|escribi\u00f3|scritto
            |escreveu|schreef|skrev|\u043f\u0438\u0448\u0435\u0442
            |\u043d\u0430\u043f\u0438\u0441\u0430\u043b)\s?:
        |.{0,120}(?:\u4e8e|\u5728).{5,80}(?:\u5199\u9053|\u5199\u9053\uff1a|\u5beb\u9053)\s?[:\uff1a]
            |\d{4}\u5e74\d{1,2}\u6708\d{1,2}\u65e5.{0,120}:
        |-{2,}\s?(?:original\ message|urspr\u00fcngliche\ nachricht|message\ (?:d'origine|original
            |transf\u00e9r\u00e9)|mensaje\ original|messaggio\ originale|oorspronkelijk\ bericht
            |mensagem\ original|\u0438\u0441\u0445\u043e\u0434\u043d\u043e\u0435
            |\u539f\u59cb\u90ae\u4ef6|forwarded\ message).{0,40}
        |_{10,}
    )\s*$""",
    re.IGNORECASE | re.VERBOSE,
)
_HEADER: Final = re.compile(
    r"^\s{0,4}\*{0,2}(?:from|von|de|da|van|fr\u00e5n|\u043e\u0442|\u53d1\u4ef6\u4eba"
    r"|\u5dee\u51fa\u4eba)\s?:\*{0,2}\s?\S",
    re.IGNORECASE,
)
_SIGNATURE: Final = re.compile(r"^-- ?$")


def snippet(text: str) -> str:
    """Return the first words of what is new in a reply, at most 500 characters; empty where all is quoted."""
    kept: list[str] = []
    lines = [line[:2000] for line in text.replace("\r\n", "\n").split("\n")[:2000]]
    for place, line in enumerate(lines):
        joined = f"{line} {lines[place + 1][:300]}" if place + 1 < len(lines) else line
        if (
            _SIGNATURE.match(line)
            or _INTRODUCTION.match(line)
            or _INTRODUCTION.match(joined)
            or _HEADER.match(line)
        ):
            if any(one.strip() for one in kept):
                break
            continue
        if not _QUOTED.match(line):
            kept.append(line)
    return " ".join(" ".join(kept).split())[:MAX_SNIPPET]
