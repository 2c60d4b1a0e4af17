"""A batch gives way to others between its items, at every stage of it."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from services.gateway.emails import batch_checking, batch_fields, batch_preparing, repeats
from services.gateway.emails.batch_preparing import Batch
from services.gateway.templates.resolving import Resolver
from shared.events.base import WorkspaceId
from shared.runtime import keyring
from shared.runtime.configuration import Account, Identity, Smtp, Workspace, account_key
from shared.runtime.tokens import Tokens

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
WORKSPACE = WorkspaceId("default")
COUNT = 30
T = TypeVar("T")


class Entries(dict[str, Any]):
    """A bucket that never has to ask anybody."""

    async def get(self, key: str) -> Any:  # type: ignore[override]
        return super().get(key)


def services(home: Path) -> Any:
    keyring.create(home / "keyring")
    account = Account(
        id="a",
        workspace=WORKSPACE,
        name="relay",
        smtp=Smtp(host="relay.test", port=25),
        identities=(Identity(address="hello@world.test"),),
        created_at=NOW,
        updated_at=NOW,
    )
    return SimpleNamespace(
        workspaces=Entries(default=Workspace(name="default", created_at=NOW, default_account_id="a")),
        accounts=Entries({account_key(WORKSPACE, "a"): account}),
        tokens=Tokens(keyring.load(home / "keyring")),
        settings=SimpleNamespace(tracker_url="http://t.test"),
        content=None,
    )


async def watched(work: Awaitable[T]) -> tuple[T, int]:
    """Return what the work returned, and how often somebody else had a turn meanwhile."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    try:
        done = await work
        return done, turns
    finally:
        task.cancel()


async def test_every_stage_of_a_batch_gives_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_checking, "SLICE", -1.0)  # every item takes too long
    parts = services(tmp_path)
    body = {
        "subject": "{{ n }}",
        "text": "Hello.",
        "recipients": [{"to": f"u{n}@world.test", "variables": {"n": n}} for n in range(COUNT)],
    }
    form, problems = batch_fields.read(body)
    assert not problems
    checked, turns = await watched(batch_checking.check(form.items, Resolver(parts, WORKSPACE)))
    assert turns >= COUNT
    (good, refused), turns = await watched(batch_preparing.granted(parts, WORKSPACE, checked, [], NOW))
    assert not refused
    assert turns >= COUNT
    batch = Batch(repeats.claim(WORKSPACE, "key", body), "key", COUNT, "b")
    ready, turns = await watched(batch_preparing.ready(parts, batch, good, [], (), NOW, None))
    assert turns >= 2 * COUNT  # once for what is stored, once for the records
    assert [item.email_id for item in ready.records] == list(ready.ids.values())
    assert len(set(ready.ids.values())) == COUNT
