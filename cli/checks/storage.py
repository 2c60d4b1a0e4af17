"""Looks at what lies on disks: the content store, the keyring, and how much room is left."""

import asyncio
import os
import shutil
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cli.checks.finding import Finding, bad, good, odd
from cli.environment import Environment
from shared.runtime import keyring
from shared.runtime.content import ContentMissing, ContentStore, ContentUnavailable

LITTLE, TOO_LITTLE = 0.10, 0.03
_MARK: Final = b"sendlog doctor"


async def look(environment: Environment) -> AsyncIterator[Finding]:
    """Look at content store, keyring and disks; what is not configured here is not looked at."""
    home = environment.home()
    url = environment.get("SENDLOG_CONTENT_URL") or (
        (home / "content").as_uri() if (home / "content").is_dir() else None
    )
    if url is None:
        yield odd("content store", "SENDLOG_CONTENT_URL is not set here", "set it to have it looked at")
    else:
        yield await _content(url)
    ring = environment.get("SENDLOG_KEYRING")
    yield _keyring(Path(ring) if ring else home / "keyring")
    for place in _disks(home, url):
        yield await asyncio.to_thread(disk, place)


async def _content(url: str) -> Finding:
    key = f"doctor/{uuid.uuid4()}"
    try:
        store = ContentStore(url)
        await store.put(key, _MARK)
        same = await store.get(key) == _MARK
        await store.delete(key)
    except (ContentUnavailable, ContentMissing, OSError, ValueError) as error:
        return bad(
            "content store", f"{url}: {error}", "make it writable, or set SENDLOG_CONTENT_URL to one that is"
        )
    if not same:
        return bad("content store", f"{url} gives back something else", "find out what it is")
    return good("content store", f"{url} is writable")


def _keyring(place: Path) -> Finding:
    try:
        keyring.load(place)
    except keyring.KeyringError as error:
        action = "restore it from its backup: without it no stored password can be read"
        return bad("keyring", str(error).removeprefix("keyring: "), action)
    mode = place.stat().st_mode & 0o777
    if mode & 0o077:
        return odd(
            "keyring",
            f"{place} has mode {mode:o}",
            f"chmod 600 {place}, unless its group is meant to read it",
        )
    return good("keyring", f"{place}, mode {mode:o}")


def _disks(home: Path, content_url: str | None) -> list[Path]:
    places = [home]
    if content_url is not None and content_url.startswith("file://"):
        places.append(Path(urlsplit(content_url).path))
    devices: dict[int, Path] = {}
    for place in places:
        if place.exists():
            devices.setdefault(os.stat(place).st_dev, place)
    return list(devices.values())


def disk(place: Path) -> Finding:
    """Judge how much room is left on the disk of a directory."""
    usage = shutil.disk_usage(place)
    share = usage.free / usage.total
    told = f"{usage.free / 1e9:.1f} GB free ({share:.0%}) at {place}"
    if share < TOO_LITTLE:
        return bad("disk", told, "make room: the broker stops taking mail when it is full")
    if share < LITTLE:
        return odd("disk", told, "make room, before the broker stops taking mail")
    return good("disk", told)
