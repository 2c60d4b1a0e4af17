"""Attachments as an accepted email names them, their bytes in a store on disk."""

import hashlib
import uuid
from pathlib import Path
from typing import Any

from shared.events.email import Attachment
from shared.runtime.content import ContentStore
from shared.runtime.content_files import Files

LONE_DOT = "first line\r\n.\r\nlast línea\n.\n".encode()


def a_store(directory: Path) -> ContentStore:
    """Return a store on disk, as the bootstrap leaves it."""
    Files(directory / "content").mark()
    return ContentStore(f"file://{directory}/content")


async def stored(store: ContentStore, data: bytes, filename: str = "a.bin", **fields: Any) -> Attachment:
    """Put a file into the store and return the attachment that names it."""
    number = str(uuid.uuid4())
    values: dict[str, Any] = {
        "id": number,
        "filename": filename,
        "content_type": "application/octet-stream",
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "key": f"default/2026-11-24/{number}",
    }
    await store.put(values["key"], data)
    return Attachment(**(values | fields))


def damage(directory: Path, attachment: Attachment, at: int = 0) -> None:
    """Turn one byte of a stored file into another, as a bad disk does."""
    path = directory / "content" / attachment.key
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def remove(directory: Path, attachment: Attachment) -> None:
    """Take a stored file away."""
    (directory / "content" / attachment.key).unlink()
