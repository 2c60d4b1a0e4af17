"""What a version says with some variables: each text rendered, styles moved, the text part derived. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from services.gateway import errors, plain_text
from services.gateway.emails import rendering
from services.gateway.errors import ApiError, Problem, invalid
from services.gateway.templates import css
from services.gateway.templates.entries import Version
from services.gateway.templates.fields import Rendered
from shared.mail import header

_TEXTS: Final = ("subject", "html", "text")


def sample(version: Version, number: int, variables: Mapping[str, Any]) -> Rendered:
    """Return the rendered texts, checked as those of an email are.

    Raises: ApiError 422 with everything that is missing and where, 400 for a subject no header can hold.
    """
    work = rendering.Work()
    faults: list[Problem] = []
    texts: dict[str, str | None] = {}
    for name in _TEXTS:
        try:
            texts[name] = part(name, getattr(version, name), version.css_inline, variables, work)
        except rendering.TemplateError as error:
            faults += [Problem(f"$.{name}", problem) for problem in error.problems]
    if faults:
        raise ApiError(errors.TEMPLATE_ERROR, "the template cannot be rendered; see details", faults)
    subject = texts["subject"]
    if subject is not None and (problem := header.check_value(subject, header.MAX_SUBJECT)):
        raise invalid([Problem("$.subject", problem)])
    if texts["text"] is None and texts["html"] is not None:
        texts["text"] = plain_text.from_html(texts["html"])
    return Rendered(version=number, **texts)


def part(
    name: str, source: str | None, css_inline: bool, variables: Mapping[str, Any], work: rendering.Work
) -> str | None:
    """Return one text rendered; html with its styles in its tags if that is wanted. Raises: TemplateError."""
    if source is None:
        return None
    rendered = rendering.render(source, variables, html=name == "html", work=work)
    return css.inlined(rendered, work) if css_inline and name == "html" else rendered
