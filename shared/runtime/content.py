"""The content store: large bodies by key, `file://` or `s3://` behind one URL.

Keys begin with the workspace and the day, so that no workspace reads another's and expiry is a prefix.
A key is written before the record that refers to it.
"""

from pathlib import Path
from urllib.parse import urlsplit

import obstore
import structlog
from obstore.store import LocalStore, from_url

logger = structlog.get_logger(__name__)


class ContentMissing(Exception):
    """The content store has nothing under this key: it expired or was lost."""


class ContentUnavailable(Exception):
    """The content store did not answer, or has no room."""


class ContentStore:
    """Puts and gets whole objects by key."""

    def __init__(self, url: str) -> None:
        if url.startswith("file://"):
            path = Path(urlsplit(url).path)
            path.mkdir(parents=True, exist_ok=True)
            self._store: obstore.store.ObjectStore = LocalStore(path)
        else:
            self._store = from_url(url)

    async def put(self, key: str, data: bytes) -> None:
        """Write an object; it is there, whole, when this returns. Raises: ContentUnavailable."""
        try:
            await obstore.put_async(self._store, key, data)
        except Exception as error:
            raise ContentUnavailable(f"content store: {error}") from error

    async def get(self, key: str) -> bytes:
        """Return an object. Raises: ContentMissing, ContentUnavailable."""
        try:
            result = await obstore.get_async(self._store, key)
            return bytes(await result.bytes_async())
        except (FileNotFoundError, obstore.exceptions.NotFoundError):
            raise ContentMissing(key) from None
        except Exception as error:
            raise ContentUnavailable(f"content store: {error}") from error

    async def delete(self, key: str) -> None:
        """Remove an object; one that is not there is fine. Raises: ContentUnavailable."""
        try:
            await obstore.delete_async(self._store, key)
        except (FileNotFoundError, obstore.exceptions.NotFoundError):
            return
        except Exception as error:
            raise ContentUnavailable(f"content store: {error}") from error
