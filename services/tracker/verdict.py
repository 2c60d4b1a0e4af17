"""The verdict on a report's words: hard, soft, delayed or unknown, and with which code. Pure.

Hard means that the address does not exist, and only hard suppresses. A good address suppressed is the one
unforgivable error, so hard needs a code or words that say just that, and neither code nor words that say
anything else: a full mailbox, a block, a disabled account and a policy are soft whatever code they come with.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, Literal

import msgspec

from services.tracker import abroad, phrases
from shared.mail import agreement, nonexistence, reply_text, rfc3463

Class = Literal["delivered", "relayed", "expanded", "delayed", "hard", "soft", "unknown"]
MAX_TEXT: Final = 4000

_ENHANCED: Final = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)")
_REPLY: Final = re.compile(
    r"(?:(?<![\d.:/-])|(?<=CODE :))([245][0-5]\d)(?=[ \-:,)\]]|$)(?!-\d(?!\.\d{1,3}\.))", re.IGNORECASE
)
# What names things but says nothing: addresses, hosts in brackets, links.
_NAMES: Final = re.compile(
    r"<[^<>\s]{1,320}>|https?://\S{1,2000}|[^\s<>@]{1,64}@[^\s<>@\u3000-\u303f\uff00-\uffef]{1,255}|\[[\d.:a-fA-F]{3,45}\]"
)

_OTHER_ABROAD: Final = re.compile(agreement.OTHER_ABROAD)
_ENDS: Final = re.compile("(?<=[.;\u3002])")
# Said of the destination; whose host it is otherwise, stands before.
_SENDMAILS: Final = re.compile(r"(?<![a-z] )\bhost unknown")

_HARD_CODES: Final = frozenset({"1.1", "1.2", "1.3", "1.6", "1.10", "4.4"})
# Codes that say nothing of their own, so that plain words may; 5.2 is a mailbox that is there, 5.7 a policy. Exchange
# Online says 5.4.310 of domains that are not there.
_VAGUE_CODES: Final = re.compile(r"5\.(?:[0345]\.0|1\.(?:0|4)|4\.310|5\.[1-5])")


# Categories that words about the way outrank: "too long" is said of a queue as well.
_GUESSED: Final = frozenset({"unknown", "policy", "invalid_recipient", "message_too_large"})


class Verdict(msgspec.Struct, frozen=True):
    """What a failure means. `code` is the best enhanced code there was, `smtp_code` the reply code, 0 for none."""

    kind: Class
    code: str | None
    smtp_code: int
    category: rfc3463.Category
    suggested_action: str
    text: str


def judge(action: str, status: str, words: str, diagnostic: str = "", dialogue: str = "") -> Verdict:
    """Return the verdict on one recipient.

    `action` and `status` are RFC 3464's, empty where nobody gave one; `diagnostic` is what the remote server said,
    `words` what the report says beside it, `dialogue` what else it shows of the session. The best code is the diagnostic's, then the status, then the
    reply code, then the words'.
    """
    diagnostic, words = _cut(diagnostic), _cut(words)
    said = diagnostic or words
    code = _best_code(diagnostic, status, words)
    smtp_code = reply_code(diagnostic) or reply_code(words)
    kind = _kind(action, code, smtp_code, said, words)
    if kind == "hard" and _gainsaid(code, _said(words), _said(_cut(dialogue))):
        kind = "soft"
    category = _category(kind, code, smtp_code, said)
    return Verdict(kind, code, smtp_code, category, rfc3463.action_for(category), said[:500])


def _category(kind: Class, code: str | None, smtp_code: int, said: str) -> rfc3463.Category:
    if kind == "hard":
        return "invalid_recipient"
    category = rfc3463.classify(smtp_code or _as_reply(code), code, said, "rcpt").category
    plain = _without_politeness(said)
    if category in _GUESSED and phrases.ON_THE_WAY.search(plain):
        return "network"
    if category in ("unknown", "invalid_recipient") and phrases.FULL.search(plain):
        return "mailbox_full"
    if category == "invalid_recipient" and (_says_something_else(plain) or phrases.NOT_GONE.search(plain)):
        told = reply_text.category(plain, is_temporary=0 < smtp_code < 500)
        return "policy" if told in (None, "invalid_recipient") else told
    return category


def _kind(action: str, code: str | None, smtp_code: int, said: str, words: str) -> Class:
    if action in ("delivered", "relayed", "expanded", "delayed"):
        return action  # type: ignore[return-value]
    if code is None and not smtp_code and not said:
        return "soft" if action == "failed" else "unknown"
    if is_hard(code, smtp_code, said, by_server=said != words):
        return "hard"
    if (
        code is not None
        or smtp_code
        or action == "failed"
        or says_no_such_user(said)
        or _says_something_else(_said(said))
    ):
        return "soft"
    return "unknown"


def is_hard(code: str | None, smtp_code: int, text: str, *, by_server: bool) -> bool:
    """Say whether this tells beyond doubt that the address, or its domain, does not exist.

    What a reporter writes of its own beside a code, `by_server` False, explains the report to people and need not agree.
    """
    said = agreement.without_preamble(_without_politeness(text))
    if code == "4.0.0" and phrases.NXDOMAIN.search(
        said
    ):  # as Google gives up: the reporter's own Status is vague
        code = "5.0.0"
    if (
        (code and code[0] != "5")
        or 400 <= smtp_code < 500
        or _says_something_else(said)
        or phrases.LISTED.search(text.lower())
        or phrases.SUSPENDED.search(said)
        or phrases.FULL.search(said)
        or phrases.OTHER_COMMAND.search(said)
    ):
        return False
    detail = code[2:] if code else ""
    if detail in ("4.4", "1.2") and phrases.TRANSIENT_DNS.search(said):
        return False
    if detail in _HARD_CODES:
        answer = said if by_server else said[max(0, said.find(str(smtp_code))) :]
        return not (smtp_code or by_server) or _agrees(answer)
    if (
        phrases.ASLEEP.search(said)
        or phrases.NOT_GONE.search(said)
        or phrases.AT_DATA.search(said)
        or smtp_code not in (0, 550, 551, 553, 554)
    ):
        return False
    if code is not None and not _VAGUE_CODES.fullmatch(code):
        return False
    # A server that answers knows its own domain: where it says that one is unknown, it is the sender's. Exchange Online
    # and old Sendmail put a code before what they found out themselves.
    is_told_by_reporter = not smtp_code or code == "5.4.310" or bool(_SENDMAILS.search(said))
    return _says_nobody_has_it(said) or (is_told_by_reporter and _says_no_such_host(said))


def _gainsaid(code: str | None, words: str, dialogue: str) -> bool:
    """Say whether what stands beside a diagnostic tells that the recipient is there after all."""
    session = f"{words} {dialogue}"
    if phrases.FULL.search(words) or phrases.OTHER_COMMAND.search(session):
        return True
    if (code or "")[2:] in _HARD_CODES:
        return False
    return bool(phrases.AT_DATA.search(session) or phrases.ASLEEP.search(session))


def _agrees(answer: str) -> bool:
    """Say whether the words of a server agree with its code that nobody has the address, or explain nothing."""
    return agreement.agrees(answer) or _says_nobody_has_it(answer) or _says_no_such_host(answer)


def _says_something_else(said: str) -> bool:
    """Say whether words stand there that an unknown address is not refused with."""
    return bool(
        phrases.SOMETHING_ELSE.search(said) or (not said.isascii() and abroad.SOMETHING_ELSE.search(said))
    )


def _says_nobody_has_it(said: str) -> bool:
    """Say whether a sentence tells of an address that nobody has, and not of the sender's or of anything else."""
    sentences = (
        one
        for one in _ENDS.split(said)
        if not (agreement.SENDER.search(one) or _OTHER_ABROAD.search(agreement.WHERE.sub(" ", one)))
    )
    return next(_unknown_users("".join(sentences)), None) is not None


def _unknown_users(said: str) -> Iterator[re.Match[str]]:
    yield from phrases.NO_SUCH_USER.finditer(said)
    if not said.isascii():
        yield from abroad.NO_SUCH_USER.finditer(said)


def _says_no_such_host(said: str) -> bool:
    return (
        bool(phrases.NO_SUCH_HOST.search(said))
        and not phrases.TRANSIENT_DNS.search(said)
        and not phrases.ABOUT_SENDER.search(said)
    )


def says_no_such_user(text: str) -> bool:
    """Say whether the words are those of an address that nobody has."""
    return next(_unknown_users(_said(text)), None) is not None


def enhanced(text: str) -> str | None:
    """Return the first enhanced status code in the text that is a failure's, else any, or None."""
    found = ["".join((kind, ".", subject, ".", detail)) for kind, subject, detail in _ENHANCED.findall(text)]
    useful = [code for code in found if not code.endswith(".0.0")]
    return next(iter(useful or found), None)


def reply_code(text: str) -> int:
    """Return the first SMTP reply code of a failure in the text, or 0."""
    codes = [int(code) for code in _REPLY.findall(text)]
    return next((code for code in codes if code >= 400), 0)


def _best_code(diagnostic: str, status: str, words: str) -> str | None:
    best = enhanced(diagnostic)
    if best is None or best.endswith(".0.0"):
        best = (status if status and not status.endswith(".0.0") else None) or best or status or None
    if best is None or best.endswith(".0.0"):
        told = enhanced(words)
        return told if told and (best is None or told[0] == best[0]) else best
    return best


def _as_reply(code: str | None) -> int:
    return {"4": 450, "5": 550}.get(code[0], 0) if code else 550


def _cut(text: str) -> str:
    return " ".join(text[:MAX_TEXT].split())


@lru_cache(maxsize=16)  # a verdict asks several times for each of its few texts
def _without_politeness(text: str) -> str:
    return phrases.POLITE.sub(nonexistence.ASKED, _said(text))


@lru_cache(maxsize=16)
def _said(text: str) -> str:
    return _NAMES.sub(" ", text.lower().replace("\u2019", "'"))
