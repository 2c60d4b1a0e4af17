"""What a person wrote in a reply, without what the mail client quoted beneath or above it. Pure.

Clients introduce what they quote in a hundred ways that have two shapes: a line that ends in a colon and names a
date or an address, and a block of header fields. Text that is marked as quoted needs no introduction.
"""

import re
from typing import Final

MAX_SNIPPET: Final = 500
_MAX_LINES: Final = 2000
_CLOSING: Final = (":", "：", "-", "_")
_QUOTED: Final = re.compile(r"\s{0,3}[>|＞]")
_WROTE: Final = (
    r"wrote|writes|schrieb|a écrit|escribió|ha scritto|escreveu|schreef|skrev|kirjoitti|napisał|napsal|пишет|написал|пользователь"
    r"|写道|寫道|のメッセージ|さんは書きました|작성|yazdı"
)
_INTRODUCTION: Final = re.compile(
    r"^\s{0,4}(?:"
    rf"(?:on|am|le|el|il|em|op|den|dnia|dne|в|w dniu|pe)\b.{{5,300}}(?:{_WROTE}).{{0,100}}[:：]"
    rf"|.{{0,200}}@[^\s<>]{{3,200}}>?.{{0,60}}(?:{_WROTE}).{{0,40}}[:：]"
    r"|(?=.{0,200}\d{1,2}[:.]\d\d).{0,200}@[^\s<>\"]{3,200}\s?>?\"?[^:]{0,40}[:：]"
    r"|.{0,120}(?:于|在).{5,80}(?:写道|寫道)\s?[:：]|\d{4}年\d{1,2}月\d{1,2}日.{0,120}[:：]"
    r"|-{2,}\s?(?:original message|ursprüngliche nachricht|original-nachricht|message (?:d'origine|original|transféré)"
    r"|mensaje original|messaggio originale|oorspronkelijk bericht|mensagem original|исходное|原始邮件|原始郵件|forwarded message"
    r"|weitergeleitete nachricht|wiadomość oryginalna|původní zpráva|원본 메(?:일|시지)).{0,40}"
    r"|_{10,}|-{20,}"
    r")\s*$",
    re.IGNORECASE,
)
# What the first of several lines of an introduction has: a date or an address.
_MAY_BEGIN: Final = re.compile(r"\d{1,4}[.:/年-]|@|\d{4}")
_FIELD: Final = re.compile(
    r"^\s{0,4}\*{0,2}(?:from|sent|date|to|subject|cc|von|gesendet|datum|an|betreff|de|envoyé|objet|à|enviado(?: el)?|para|asunto"
    r"|assunto|da|inviato|oggetto|van|verzonden|aan|onderwerp|från|skickat|till|ämne|fra|sendt|til|emne|od|wysłano|do|temat"
    r"|от|отправлено|кому|тема|дата|发件人|发送时间|收件人|主题|寄件者|收件者|主旨|差出人|送信日時|宛先|件名|보낸 사람|받는 사람|제목)\s?[:：]\*{0,2}\s?\S",
    re.IGNORECASE,
)
_SIGNATURE: Final = re.compile(
    r"^(?:-- ?|\s{0,4}(?:sent (?:from|via|with) (?:my |outlook|mail|yahoo|samsung|proton|the )"
    r"|get outlook for|von meinem .{2,40} gesendet|gesendet (?:von|mit)|diese nachricht wurde von meinem"
    r"|envoyé (?:de(?:puis)?|à partir de)|enviado (?:desde|do|de) (?:mi|meu|o )|inviato (?:da|dal)|verzonden (?:vanaf|met|van)"
    r"|wysłan[eo] z|отправлено (?:с|из)|skickat från|sendt fra|lähetetty|odesláno z|发自我的|從我的|iPhoneから送信|나의 .{2,20}에서 보냄)"
    r".{0,80})\s*$",
    re.IGNORECASE,
)
# Where mail clients put what they quote in HTML.
_HTML_QUOTE: Final = re.compile(
    r"<blockquote\b|<div[^>]{0,300}\b(?:class|id)=[\"']?(?:gmail_quote|gmail_extra|moz-cite-prefix|yahoo_quoted|appendonsend"
    r"|divrplyfwdmsg|protonmail_quote|zmail_extra|tutanota_quote|olk_src_body_section|mail-editor-reference-message-container)"
    r"|<hr[^>]{0,200}\b(?:id=[\"']?stopspelling|tabindex)",
    re.IGNORECASE,
)


def snippet(text: str) -> str:
    """Return the first words of what is new in a reply, at most 500 characters; empty where all is quoted."""
    kept: list[str] = []
    lines = [line[:1000] for line in text.replace("\r\n", "\n").split("\n")[:_MAX_LINES]]
    place = 0
    length = 0
    while place < len(lines) and length <= MAX_SNIPPET:
        line = lines[place]
        ends = _introduction(lines, place)
        if ends:
            quoted = _is_quoted_next(lines, ends)
            if kept and not quoted:
                break
            place = ends
            continue
        if _SIGNATURE.match(line) and kept:
            break
        if line.strip() and not _QUOTED.match(line):
            kept.append(line)
            length += len(line.strip())
        place += 1
    return " ".join(" ".join(kept).split())[:MAX_SNIPPET]


def own_html(html: str) -> str:
    """Return an HTML reply up to what its client quoted, as far as clients mark that; all of it where nothing is new."""
    found = _HTML_QUOTE.search(html)
    own = html[: found.start()] if found else html
    return own if re.search(r">\s{0,200}[^<\s]", own) or not own.lstrip().startswith("<") else html


def _introduction(lines: list[str], place: int) -> int:
    """Return the line after an introduction that begins here, or 0; clients break it over up to three lines."""
    joined = ""
    for length in range(1, 4):
        if place + length > len(lines) or (length > 1 and not lines[place + length - 1].strip()):
            break
        if length > 1 and not _MAY_BEGIN.search(lines[place]):
            break
        joined = f"{joined} {lines[place + length - 1]}"[:1000]
        if joined.rstrip()[-1:] in _CLOSING and _INTRODUCTION.match(joined):
            return place + length
    if _FIELD.match(lines[place]):
        following = [line for line in lines[place + 1 : place + 6] if line.strip()][:3]
        if sum(bool(_FIELD.match(line)) for line in following) >= min(2, max(1, len(following))):
            return place + 1
    return 0


def _is_quoted_next(lines: list[str], place: int) -> bool:
    following = next((line for line in lines[place : place + 4] if line.strip()), "")
    return _QUOTED.match(following) is not None
