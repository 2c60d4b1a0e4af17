"""Decides what a template becomes, and what no template can be. Pure."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import msgspec
from msgspec import UNSET

from services.gateway import identifiers
from services.gateway.emails import rendering
from services.gateway.errors import TEMPLATE_ERROR, ApiError, Problem, invalid
from services.gateway.templates.entries import MAX_VERSIONS, Head, Made, Version
from services.gateway.templates.fields import TemplateChange
from shared.mail import header

_TEXTS: Final = ("subject", "html", "text")


def version_of(base: Version, wanted: TemplateChange) -> Version:
    """Return the texts with the change; empty ones count as absent."""
    given = {name: getattr(wanted, name) for name in (*_TEXTS, "css_inline")}
    known = {name: value for name, value in given.items() if value is not UNSET}
    changed = msgspec.structs.replace(base, **known)
    return msgspec.structs.replace(changed, **{name: getattr(changed, name) or None for name in _TEXTS})


def refuse(version: Version, wanted: TemplateChange) -> None:
    """Refuse texts that no email could be made of. Raises: ApiError 400 with all problems, 422 of the syntax."""
    problems = list(_problems(version, wanted))
    if problems:
        raise invalid(problems)
    faults = [problem for name in _TEXTS for problem in _faults(name, getattr(version, name))]
    if faults:
        raise ApiError(TEMPLATE_ERROR, "the template cannot be read; see details", faults)


def _problems(version: Version, wanted: TemplateChange) -> Iterator[Problem]:
    if version.html is None and version.text is None:
        yield Problem("$.html", "is required, unless there is text")
    # Whatever is not a variable's goes into the header as it is, so it is refused before anyone sends it.
    if version.subject is not None and (problem := header.check_value(version.subject, header.MAX_SUBJECT)):
        yield Problem("$.subject", problem)
    for name in ("html", "text"):
        if "\0" in (getattr(version, name) or ""):
            yield Problem(f"$.{name}", "must not contain a NUL character")
    if isinstance(wanted.alias, str) and identifiers.as_uuid(wanted.alias):
        yield Problem("$.alias", "must not look like an id")


def _faults(name: str, source: str | None) -> Iterator[Problem]:
    if source and rendering.is_template(source):
        try:
            rendering.compiled(source, html=name == "html")
        except rendering.TemplateError as error:
            yield from (Problem(f"$.{name}", problem) for problem in error.problems)


def variables(version: Version) -> list[str]:
    """Return the names of the variables in the texts, each once, as they come."""
    names: dict[str, None] = {}
    for name in _TEXTS:
        source = getattr(version, name)
        if source and rendering.is_template(source):
            names |= {use.name: None for use in rendering.compiled(source, html=name == "html").uses}
    return list(names)


def opened(template_id: str, workspace: str, wanted: TemplateChange, first: Made) -> Head:
    """Return the new template with its first version."""
    assert wanted.name is not UNSET
    return Head(
        id=template_id,
        workspace=workspace,
        name=wanted.name,
        alias=None if wanted.alias is UNSET else wanted.alias,
        versions=(first,),
        created_at=first.made_at,
        updated_at=first.made_at,
    )


def changed(head: Head, wanted: TemplateChange, made: Made | None, now: datetime) -> Head:
    """Return the template with the change; `made` is its new version if its texts are others."""
    return msgspec.structs.replace(
        head,
        name=head.name if wanted.name is UNSET else wanted.name,
        alias=head.alias if wanted.alias is UNSET else wanted.alias,
        versions=head.versions if made is None else (*head.versions, made),
        updated_at=now,
    )


def require_room(head: Head) -> None:
    """Refuse one version too many. Raises: ApiError 400."""
    if len(head.versions) >= MAX_VERSIONS:
        raise invalid([Problem("$", f"a template has at most {MAX_VERSIONS} versions; make a new one")])


def published(head: Head, version: int | None, now: datetime) -> Head:
    """Return the template with that version sent. Raises: ApiError 400 when there is no such version."""
    return msgspec.structs.replace(head, published=number_of(head, version, "$.version"), updated_at=now)


def number_of(head: Head, version: int | None, path: str) -> int:
    """Return which version is meant: the latest if none is said. Raises: ApiError 400."""
    if version is None:
        return head.latest
    if head.made(version) is None:
        raise invalid([Problem(path, f"there is no version {version} of this template")])
    return version
