"""A bucket spoken to by the S3 protocol over HTTP: put, get with ranges, head, delete, list, multipart uploads.

It keeps everything in memory and checks no signature; what it refuses or forgets on purpose is a test's wish.
"""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from aiohttp import web

from deploy.local import ports

BUCKET = "mail"


class Bucket:
    """What lies in the bucket, and what uploads are open in it."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.broken: int | None = None  # the status of every answer
        self.gone = False  # somebody has removed the whole bucket
        self.url = ""
        self.requests: list[str] = []

    def environment(self) -> dict[str, str]:
        """What the environment of a process must say to find this bucket."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        }

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path_qs}")
        data = await request.content.read()
        if self.gone:
            return web.Response(status=404, text=_error("NoSuchBucket"))
        if self.broken:
            return web.Response(status=self.broken, text=_error("AccessDenied"))
        key = request.path.removeprefix(f"/{BUCKET}").removeprefix("/")
        asked = request.rel_url.query
        if request.method == "GET" and not key:
            return self._list(asked.get("prefix", ""))
        if request.method == "POST" and "delete" in asked:
            return self._delete_all(data)
        if "uploads" in asked or "uploadId" in asked:
            return self._multipart(request.method, key, asked.get("uploadId"), asked.get("partNumber"), data)
        if request.method == "PUT":
            self.objects[key] = data
            return web.Response(headers={"ETag": _etag(data)})
        if request.method == "DELETE":
            self.objects.pop(key, None)
            return web.Response(status=204)
        return self._get(key, request.headers.get("Range"))

    def _get(self, key: str, asked: str | None) -> web.Response:
        if key not in self.objects:
            return web.Response(status=404, text=_error("NoSuchKey"))
        whole = self.objects[key]
        headers = {"ETag": _etag(whole), "Last-Modified": _http_date()}
        if asked is None:
            return web.Response(body=whole, headers=headers)
        first, _, last = asked.removeprefix("bytes=").partition("-")
        end = min(int(last) + 1 if last else len(whole), len(whole))
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{len(whole)}"
        return web.Response(status=206, body=whole[int(first) : end], headers=headers)

    def _multipart(
        self, method: str, key: str, upload: str | None, part: str | None, data: bytes
    ) -> web.Response:
        if upload is None:
            upload = f"upload-{len(self.requests)}"
            self.uploads[upload] = {}
            return _xml(
                f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
            )
        if method == "PUT" and part is not None:
            self.uploads[upload][int(part)] = data
            return web.Response(headers={"ETag": _etag(data)})
        parts = self.uploads.pop(upload)
        if method == "DELETE":
            return web.Response(status=204)
        self.objects[key] = b"".join(parts[number] for number in sorted(parts))
        return _xml(
            "<CompleteMultipartUploadResult><ETag>&quot;whole&quot;</ETag></CompleteMultipartUploadResult>"
        )

    def _delete_all(self, data: bytes) -> web.Response:
        keys = [one.text or "" for one in ElementTree.fromstring(data).iter() if one.tag.endswith("Key")]
        for key in keys:
            self.objects.pop(key, None)
        gone = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
        return _xml(f"<DeleteResult>{gone}</DeleteResult>")

    def _list(self, prefix: str) -> web.Response:
        found = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(data)}</Size><ETag>{escape(_etag(data))}</ETag>"
            f"<LastModified>{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.000Z}</LastModified></Contents>"
            for key, data in sorted(self.objects.items())
            if key.startswith(prefix)
        )
        return _xml(f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>")


@asynccontextmanager
async def serve() -> AsyncIterator[Bucket]:
    """Run a bucket for the length of the block."""
    bucket = Bucket()
    runner = web.ServerRunner(web.Server(bucket.answer))
    await runner.setup()
    port = ports.free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    bucket.url = f"http://127.0.0.1:{port}"
    try:
        yield bucket
    finally:
        await runner.cleanup()


def _etag(data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest()[:32]}"'


def _http_date() -> str:
    return f"{datetime.now(UTC):%a, %d %b %Y %H:%M:%S} GMT"


def _error(code: str) -> str:
    return f"<Error><Code>{code}</Code><Message>{code}</Message></Error>"


def _xml(text: str) -> web.Response:
    return web.Response(text=f'<?xml version="1.0" encoding="UTF-8"?>{text}', content_type="application/xml")
