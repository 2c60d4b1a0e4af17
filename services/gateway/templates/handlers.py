"""Handles the requests about templates: load, decide, write to the buckets, answer.

A name is claimed before the template that bears it is written, and a version before the head that names it: what
a crash leaves behind is a claim without a template, which the next one who wants the name takes over, and texts
that no head names.
"""

import asyncio
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from services.gateway import identifiers, paging
from services.gateway.errors import CONFLICT, ApiError, Problem, invalid, not_found
from services.gateway.request import Reply, Request
from services.gateway.templates import composing, decisions, entries, fields
from services.gateway.templates.entries import Alias, Head, Made, Version
from shared.runtime import buckets

MAX_TEMPLATES: Final = 5000
DANGLING_AFTER: Final = timedelta(seconds=30)


async def create(request: Request) -> Reply:
    """Make a template with its version 1, a draft."""
    library, wanted = request.services.templates, request.data
    version = decisions.version_of(Version(), wanted)
    await asyncio.to_thread(decisions.refuse, version, wanted)
    await library.heads.catch_up()
    if len(library.mine(request.workspace)) >= MAX_TEMPLATES:
        raise invalid([Problem("$", f"a workspace has at most {MAX_TEMPLATES} templates")])
    template_id = identifiers.fresh()
    head = decisions.opened(template_id, request.workspace, wanted, _made(1))
    if head.alias is not None:
        await _claim(request, head.alias, template_id)
    await library.write(request.workspace, template_id, head.versions[0], version)
    await library.heads.put(entries.head_key(request.workspace, template_id), head, revision=0)
    return Reply(fields.shown(head, 1, version, decisions.variables(version)))


async def list_(request: Request) -> Reply:
    """Return the workspace's templates, oldest first, without their texts."""
    library = request.services.templates
    await library.heads.catch_up()
    mine = [
        head
        for head in library.mine(request.workspace)
        if request.query.alias is None or head.alias == request.query.alias
    ]
    page, meta = paging.cut(sorted(mine, key=_place), request.query, _place)
    return Reply([fields.listed(head) for head in page], meta=meta)


async def show(request: Request) -> Reply:
    """Return one template with the texts of one version."""
    _, head = await _load(request)
    return Reply(await _shown(request, head, request.query.version if request.query else None))


async def versions(request: Request) -> Reply:
    """Return a template's versions, newest first."""
    _, head = await _load(request)
    return Reply(fields.versions(head))


async def change(request: Request) -> Reply:
    """Change one template; other texts are a new version. Nobody's change is lost when two come at once."""
    library, wanted = request.services.templates, request.data
    while True:
        revision, head = await _load(request)
        known = await library.version(head, head.latest)
        version = decisions.version_of(known, wanted)
        await asyncio.to_thread(decisions.refuse, version, wanted)
        if isinstance(wanted.alias, str) and wanted.alias != head.alias:
            await _claim(request, wanted.alias, head.id)
        made = None if version == known else await _write(request, head, version)
        fresh = decisions.changed(head, wanted, made, datetime.now(UTC))
        try:
            await library.heads.put(entries.head_key(head.workspace, head.id), fresh, revision=revision)
            break
        except buckets.Changed:
            if made is not None:
                await library.drop(head, made)
    if head.alias is not None and head.alias != fresh.alias:
        await _release(request, head.alias, head.id)
    await asyncio.sleep(buckets.SETTLED_AFTER)
    return Reply(await _shown(request, fresh))


async def publish(request: Request) -> Reply:
    """Make a version the one that is sent; answered when every replica sends it."""
    wanted = request.data.version
    head = await _replace(request, lambda known: decisions.published(known, wanted, datetime.now(UTC)))
    await asyncio.sleep(buckets.SETTLED_AFTER)
    return Reply(await _shown(request, head, head.published))


async def render(request: Request) -> Reply:
    """Return what a version says with sample variables. Raises: ApiError 422 naming what is missing, and where."""
    _, head = await _load(request)
    sample: fields.Sample = request.data
    number = decisions.number_of(head, sample.version, "$.version")
    version = await request.services.templates.version(head, number)
    rendered = await asyncio.to_thread(composing.sample, version, number, sample.variables)
    return Reply(rendered)


async def remove(request: Request) -> Reply:
    """Remove one template and return it as it was; what was sent by it keeps its texts."""
    _, head = await _load(request)
    shown = await _shown(request, head)
    library = request.services.templates
    await library.heads.delete(entries.head_key(head.workspace, head.id))
    if head.alias is not None:
        await _release(request, head.alias, head.id)
    await library.forget(head.workspace, head.id)
    await asyncio.sleep(buckets.SETTLED_AFTER)
    return Reply(shown)


async def _load(request: Request) -> tuple[int, Head]:
    """Return the template as the leader has it. Raises: ApiError, also for another workspace's."""
    key = entries.head_key(request.workspace, request.path["id"])
    found = await request.services.templates.heads.read(key)
    if found is None or not isinstance(found[1], Head):
        raise not_found("template")
    return found[0], found[1]


async def _replace(request: Request, decide: Callable[[Head], Head]) -> Head:
    """Write what `decide` makes of the newest head, and return it."""
    while True:
        revision, head = await _load(request)
        fresh = decide(head)
        try:
            key = entries.head_key(head.workspace, head.id)
            await request.services.templates.heads.put(key, fresh, revision=revision)
            return fresh
        except buckets.Changed:
            continue


async def _shown(request: Request, head: Head, version: int | None = None) -> fields.TemplateShown:
    number = decisions.number_of(head, version, "$.version")
    texts = await request.services.templates.version(head, number)
    return fields.shown(head, number, texts, await asyncio.to_thread(decisions.variables, texts))


async def _write(request: Request, head: Head, version: Version) -> Made:
    """Write a new version, which counts once the head names it."""
    decisions.require_room(head)
    made = _made(head.latest + 1)
    await request.services.templates.write(head.workspace, head.id, made, version)
    return made


def _made(number: int) -> Made:
    return Made(number, datetime.now(UTC), secrets.token_hex(4))


async def _claim(request: Request, alias: str, template_id: str) -> None:
    """Make the alias this template's. Raises: ApiError 409 when it is another's."""
    heads, key = request.services.templates.heads, entries.alias_key(request.workspace, alias)
    mine = Alias(template_id=template_id, claimed_at=datetime.now(UTC))
    try:
        await heads.create(key, mine)
        return
    except buckets.Changed:
        found = await heads.read(key)
    if found is not None and isinstance(found[1], Alias):
        if found[1].template_id == template_id:
            return
        if await _is_dangling(request, alias, found[1]):
            try:
                await heads.put(key, mine, revision=found[0])
                return
            except buckets.Changed:
                pass
    problem = Problem("$.alias", f"{alias!r} is the alias of another template")
    raise ApiError(CONFLICT, f"the alias {alias!r} is taken", [problem])


async def _is_dangling(request: Request, alias: str, claim: Alias) -> bool:
    """Say whether the template a name was claimed for does not bear it and had time enough to."""
    if datetime.now(UTC) - claim.claimed_at < DANGLING_AFTER:
        return False
    found = await request.services.templates.heads.read(
        entries.head_key(request.workspace, claim.template_id)
    )
    return found is None or not isinstance(found[1], Head) or found[1].alias != alias


async def _release(request: Request, alias: str, template_id: str) -> None:
    """Give the alias up, unless it is another's by now."""
    heads, key = request.services.templates.heads, entries.alias_key(request.workspace, alias)
    found = await heads.read(key)
    if found is not None and isinstance(found[1], Alias) and found[1].template_id == template_id:
        try:
            await heads.delete(key, revision=found[0])
        except buckets.Changed:
            return


def _place(head: Head) -> str:
    return f"{head.created_at:%Y-%m-%dT%H:%M:%S.%f}{head.id}"
