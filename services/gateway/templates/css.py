"""Owns moving a document's styles into its tags, for mail clients that read nothing else; nothing is fetched.

The inliner is native code that crashes on documents nested some thousand deep and copies open formatting into
every paragraph, so what could hurt it is refused before it sees it.
"""

import re
from typing import Final

import css_inline

from services.gateway.templates import css_cost
from services.gateway.templates.budget import TemplateError, Work

MAX_TAGS: Final = 3000
MAX_COPIES: Final = 200_000
MAX_REPEATED: Final = 16_000_000
MAX_STYLE: Final = 128 * 1024
MAX_MATCHING: Final = 40_000_000
MAX_SEARCHES: Final = 20_000
MAX_COPIED: Final = 512 * 1024
MAX_OUTPUT: Final = 1024 * 1024
_COPYING: Final = 3  # what copying a character counts as, in characters that a filter reads
_MATCHING: Final = 32  # characters of a style sheet at a tag that count as one
_TAG: Final = re.compile(r"<[A-Za-z]")
_FORMATTING: Final = re.compile(
    r"<(?:a|b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)(?=[\s/>])", re.IGNORECASE
)
_STYLE: Final = re.compile(r"<style(?=[\s/>])(.*?)(?:</style|\Z)", re.IGNORECASE | re.DOTALL)
# Selectors that look through all siblings of a tag, or may (a backslash can spell any of them).
_SEARCH: Final = re.compile(
    r"[~\\]|:(?:not|is|where|has|matches|any|nth-[a-z-]*+|-[a-z-]++)\(", re.IGNORECASE
)
_FORMATTED: Final = re.compile(_FORMATTING.pattern + r"(?:[^>\"']++|\"[^\"]*\"|'[^']*')*+", re.IGNORECASE)
_inliner: Final = css_inline.CSSInliner(load_remote_stylesheets=False, keep_at_rules=True)
_parser: Final = css_inline.CSSInliner(
    load_remote_stylesheets=False, inline_style_tags=False, keep_style_tags=True
)


def inlined(document: str, work: Work) -> str:
    """Return the document with its style sheets moved into style attributes; media queries stay.

    Raises: TemplateError.
    """
    if "<style" not in document.lower():
        return document
    styles = _STYLE.findall(document)
    _refuse_what_could_hurt(document, styles)
    try:
        parsed = _parser.inline(document)
        tags = css_cost.tags_in(parsed)
        _charge(work, len(parsed), css_cost.copied(styles, tags), sum(map(len, styles)) * tags.all)
        made = _inliner.inline(parsed)
    except css_inline.InlineError as error:
        raise TemplateError(f"the styles cannot be moved into the tags: {error}") from error
    if len(made) > MAX_OUTPUT:
        raise TemplateError(f"with its styles in its tags the text is longer than {MAX_OUTPUT} characters")
    return made


def _charge(work: Work, size: int, copied: int, matching: int) -> None:
    if size > MAX_OUTPUT or copied > MAX_COPIED:
        raise TemplateError(
            f"css_inline copies at most {MAX_COPIED} characters of styles: have fewer, or for fewer tags"
        )
    try:
        work.charge(size + copied * _COPYING + matching // _MATCHING)
    except TemplateError as error:
        raise TemplateError("css_inline has too much to do in this email or its batch") from error


def _refuse_what_could_hurt(document: str, styles: list[str]) -> None:
    tags = len(_TAG.findall(document))
    if tags > MAX_TAGS or len(_FORMATTING.findall(document)) * tags > MAX_COPIES:
        raise TemplateError(f"css_inline takes at most {MAX_TAGS} tags, fewer where many are formatting")
    if sum(map(len, _FORMATTED.findall(document))) * tags > MAX_REPEATED:
        raise TemplateError("css_inline takes short attributes only in formatting tags where tags are many")
    size = sum(map(len, styles))
    if sum(len(_SEARCH.findall(style)) for style in styles) * tags > MAX_SEARCHES:
        raise TemplateError(
            "css_inline takes few selectors with ~ or :not() and its like where tags are many"
        )
    if size > MAX_STYLE or size * tags > MAX_MATCHING:
        raise TemplateError(
            f"css_inline takes at most {MAX_STYLE} characters of style sheets, fewer where tags are many"
        )
