"""Owns the shapes of /templates as clients write and read them."""

from datetime import datetime
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from services.gateway import paging
from services.gateway.emails.fields import ALIAS
from services.gateway.templates.entries import Head, Version

MAX_TEXT: Final = 512 * 1024
Name: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        pattern=r"\A[^\x00-\x1f\x7f\x85\u2028\u2029]+\Z",
        description="one line without control characters",
    ),
]
Alias: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=ALIAS.pattern,
        description="small letters, digits and _ - between them",
    ),
]
Subject: TypeAlias = Annotated[str, Meta(max_length=998)]
Text: TypeAlias = Annotated[str, Meta(max_length=MAX_TEXT)]
Number: TypeAlias = Annotated[int, Meta(ge=1, le=1_000_000_000)]


class TemplateChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change; what is absent stays. Other texts are a new version, which is sent once published."""

    name: Name | UnsetType = UNSET
    alias: Alias | UnsetType | None = UNSET
    subject: Subject | UnsetType | None = UNSET
    html: Text | UnsetType | None = UNSET
    text: Text | UnsetType | None = UNSET
    css_inline: bool | UnsetType = UNSET


class NewTemplate(TemplateChange, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A template; its texts are version 1. `alias` is another name to send by, `css_inline` moves styles into tags."""

    name: Name


class Publication(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which version to send from now on; the latest one if not said."""

    version: Number | None = None


class Sample(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to render a template with; `version` is the latest one if not said."""

    variables: dict[str, Any] = {}
    version: Number | None = None


class Query(paging.Query, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which templates are wanted."""

    alias: Annotated[str, Meta(max_length=64)] | None = None


class Which(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which version is wanted; the latest one if not said."""

    version: Number | None = None


class TemplateListed(msgspec.Struct, frozen=True, kw_only=True):
    """A template without its texts; `published_version` is the one that is sent."""

    id: str
    name: str
    alias: str | None
    latest_version: int
    published_version: int | None
    created_at: datetime
    updated_at: datetime


class TemplateShown(TemplateListed, frozen=True, kw_only=True):
    """A template with the texts of one `version`, and the names of the variables in them."""

    version: int
    subject: str | None
    html: str | None
    text: str | None
    css_inline: bool
    variables: list[str]


class VersionListed(msgspec.Struct, frozen=True):
    """One version of a template, and whether it is the one that is sent."""

    version: int
    published: bool
    created_at: datetime


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """What a version says with these variables; `text` is derived from html where the template has none."""

    version: int
    subject: str | None
    html: str | None
    text: str | None


def listed(head: Head) -> TemplateListed:
    """Return the template as lists show it."""
    return TemplateListed(**_common(head))


def shown(head: Head, number: int, version: Version, variables: list[str]) -> TemplateShown:
    """Return the template with one of its versions."""
    return TemplateShown(
        **_common(head),
        version=number,
        subject=version.subject,
        html=version.html,
        text=version.text,
        css_inline=version.css_inline,
        variables=variables,
    )


def versions(head: Head) -> list[VersionListed]:
    """Return the template's versions, newest first."""
    return [VersionListed(n, n == head.published, made_at) for n, made_at, _ in reversed(head.versions)]


def _common(head: Head) -> dict[str, Any]:
    return {
        "id": head.id,
        "name": head.name,
        "alias": head.alias,
        "latest_version": head.latest,
        "published_version": head.published,
        "created_at": head.created_at,
        "updated_at": head.updated_at,
    }
