"""Owns moving a document's styles into its tags, for mail clients that read nothing else; nothing is fetched.

The inliner is native code that crashes on documents nested some thousand deep and copies open formatting into
every paragraph, so what could hurt it is refused before it sees it.
"""

import re
from typing import Final

import css_inline

from services.gateway.templates.budget import TemplateError

MAX_TAGS: Final = 3000
MAX_COPIES: Final = 200_000
MAX_STYLE: Final = 128 * 1024
MAX_MATCHING: Final = 40_000_000
MAX_SEARCHES: Final = 20_000
_TAG: Final = re.compile(r"<[A-Za-z]")
_FORMATTING: Final = re.compile(
    r"<(?:a|b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)(?=[\s/>])", re.IGNORECASE
)
_STYLE: Final = re.compile(r"<style(?=[\s/>])(.*?)(?:</style|\Z)", re.IGNORECASE | re.DOTALL)
# Selectors that look through all siblings of a tag, or may (a backslash can spell any of them).
_SEARCH: Final = re.compile(
    r"[~\\]|:(?:not|is|where|has|matches|any|nth-[a-z-]*+|-[a-z-]++)\(", re.IGNORECASE
)
_inliner: Final = css_inline.CSSInliner(load_remote_stylesheets=False, keep_at_rules=True)


def inlined(document: str) -> str:
    """Return the document with its style sheets moved into style attributes; media queries stay.

    Raises: TemplateError.
    """
    if "<style" not in document.lower():
        return document
    tags = len(_TAG.findall(document))
    if tags > MAX_TAGS or len(_FORMATTING.findall(document)) * tags > MAX_COPIES:
        raise TemplateError(f"css_inline takes at most {MAX_TAGS} tags, fewer where many are formatting")
    styles = _STYLE.findall(document)
    size = sum(map(len, styles))
    if sum(len(_SEARCH.findall(style)) for style in styles) * tags > MAX_SEARCHES:
        raise TemplateError(
            "css_inline takes few selectors with ~ or :not() and its like where tags are many"
        )
    if size > MAX_STYLE or size * tags > MAX_MATCHING:
        raise TemplateError(
            f"css_inline takes at most {MAX_STYLE} characters of style sheets, fewer where tags are many"
        )
    try:
        return _inliner.inline(document)
    except css_inline.InlineError as error:
        raise TemplateError(f"the styles cannot be moved into the tags: {error}") from error
