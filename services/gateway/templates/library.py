"""Owns the way to templates: heads from memory, versions from the leader and then from a cache that is bounded.

A version is written before the head that names it, so whoever sees a head can read all its versions.
"""

from collections import OrderedDict
from typing import Final, cast

import nats
from nats.aio.client import Client

from services.gateway.templates import entries
from services.gateway.templates.entries import Alias, Head, Made, Version
from shared.runtime import topology
from shared.runtime.buckets import Bucket
from shared.runtime.log import BrokerUnavailable

KEPT: Final = 16 * 1024 * 1024
_ENTRY: Final = cast("type[Head | Alias]", Head | Alias)


class Library:
    """All workspaces' templates as this gateway reads and writes them."""

    def __init__(self, client: Client, kept: int = KEPT) -> None:
        self.heads: Bucket[Head | Alias] = Bucket(client, topology.TEMPLATES, _ENTRY)
        self._client = client
        self._room = kept
        self._versions: OrderedDict[str, Version] = OrderedDict()

    async def open(self) -> None:
        """Read the heads and follow them until `close`. Raises: BrokerUnavailable."""
        await self.heads.open()

    async def close(self) -> None:
        """Stop following changes."""
        await self.heads.close()

    def mine(self, workspace: str) -> list[Head]:
        """Return the workspace's heads as memory has them, in no order."""
        return [
            head
            for head in self.heads.items().values()
            if isinstance(head, Head) and head.workspace == workspace
        ]

    async def head(self, workspace: str, template_id: str) -> Head | None:
        """Return the template of that id. Raises: BrokerUnavailable."""
        found = await self.heads.get(entries.head_key(workspace, template_id))
        return found if isinstance(found, Head) else None

    async def named(self, workspace: str, alias: str) -> Head | None:
        """Return the template of that alias. Raises: BrokerUnavailable."""
        found = await self.heads.get(entries.alias_key(workspace, alias))
        head = await self.head(workspace, found.template_id) if isinstance(found, Alias) else None
        return head if head is not None and head.alias == alias else None

    async def version(self, head: Head, number: int) -> Version:
        """Return what a version of the head says. Raises: BrokerUnavailable."""
        made = head.made(number)
        assert made is not None
        key = entries.version_key(head.workspace, head.id, made)
        found = self._versions.get(key)
        if found is None:
            found = await self._read(key)
            self._keep(key, found)
        else:
            self._versions.move_to_end(key)
        return found

    async def write(self, workspace: str, template_id: str, made: Made, version: Version) -> None:
        """Write what a version says, before any head names it. Raises: BrokerUnavailable."""
        key = entries.version_key(workspace, template_id, made)
        try:
            await self._client.jetstream(timeout=2).publish(
                f"$KV.{topology.TEMPLATE_VERSIONS}.{key}", entries.packed(version)
            )
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError) as error:
            raise BrokerUnavailable(f"templates: {error!r}") from error

    async def drop(self, head: Head, made: Made) -> None:
        """Remove a version that no head names. Raises: BrokerUnavailable."""
        await self._purge(entries.version_key(head.workspace, head.id, made))

    async def forget(self, workspace: str, template_id: str) -> None:
        """Remove all versions of a template that is gone. Raises: BrokerUnavailable."""
        await self._purge(f"{workspace}.{template_id}.*")

    async def _purge(self, keys: str) -> None:
        subject = f"$KV.{topology.TEMPLATE_VERSIONS}.{keys}"
        try:
            await self._client.jetstream(timeout=5).purge_stream(
                f"KV_{topology.TEMPLATE_VERSIONS}", subject=subject
            )
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError) as error:
            raise BrokerUnavailable(f"templates: {error!r}") from error

    async def _read(self, key: str) -> Version:
        try:
            message = await self._client.jetstream(timeout=2).get_msg(
                f"KV_{topology.TEMPLATE_VERSIONS}",
                subject=f"$KV.{topology.TEMPLATE_VERSIONS}.{key}",
                direct=False,
            )
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError) as error:
            raise BrokerUnavailable(f"templates: {error!r}") from error
        return entries.unpacked(message.data or b"")

    def _keep(self, key: str, version: Version) -> None:
        if key in self._versions:
            return
        self._versions[key] = version
        self._room -= version.size
        while self._room < 0:
            _, dropped = self._versions.popitem(last=False)
            self._room += dropped.size
