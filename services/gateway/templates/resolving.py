"""Finds the template a send names, by id or alias, and the version of it that is sent. The last stage that may wait.

What it finds is fixed with the email: a template that is changed or removed later changes no accepted email.
"""

from typing import Final

from services.gateway import errors, identifiers
from services.gateway.emails import fields
from services.gateway.errors import Problem
from services.gateway.templates.entries import Head, Source
from services.gateway.templates.library import Library
from shared.runtime.log import BrokerUnavailable

_UNKNOWN: Final = "the template cannot be looked up right now; nothing was sent. Try again"


class Resolver:
    """Resolves the templates of one request: each template that its items name is looked up once."""

    def __init__(self, library: Library, workspace: str) -> None:
        self._library = library
        self._workspace = workspace
        self._found: dict[tuple[str, int | None], Source | Problem] = {}

    async def source(self, send: fields.Send, path: str = "$") -> Source | Problem | None:
        """Return what the send's template says, what is wrong with its name, or None if it names none.

        Raises: ApiError 503.
        """
        if send.template_id is None:
            return None
        asked = (send.template_id, send.template_version)
        if asked not in self._found:
            try:
                self._found[asked] = await self._look_up(*asked)
            except BrokerUnavailable as error:
                raise errors.unavailable(_UNKNOWN) from error
        found = self._found[asked]
        return Problem(path + found.path, found.message) if isinstance(found, Problem) else found

    async def _look_up(self, name: str, version: int | None) -> Source | Problem:
        head = await self._head(name)
        if head is None:
            return Problem(".template_id", f"there is no template {name[:80]!r}")
        if version is not None and head.made(version) is None:
            return Problem(".template_version", f"the template {name!r} has no version {version}")
        number = version or head.published
        if number is None:
            return Problem(
                ".template_id", f"the template {name!r} has no published version; publish one, or name one"
            )
        return Source(head.id, number, name, await self._library.version(head, number))

    async def _head(self, name: str) -> Head | None:
        template_id = identifiers.as_uuid(name)
        if template_id is not None:
            return await self._library.head(self._workspace, template_id)
        return await self._library.named(self._workspace, name) if fields.ALIAS.fullmatch(name) else None
