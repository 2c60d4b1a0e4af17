"""The REST API as a command uses it: an answer, or one sentence and an exit code.

A send whose answer is lost is repeated with the same Idempotency-Key and nothing else: any other repeat
could make a second email.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, BinaryIO, Final, NamedTuple, Self

import aiohttp
import yarl

from cli.failure import FORBIDDEN, NO, UNAVAILABLE, USAGE, Failure
from cli.terminal import clean

PREFIX: Final = "/api/v1"
TRIES: Final = 5
LONGEST_PAUSE: Final = 10.0
_TIMEOUT: Final = aiohttp.ClientTimeout(total=60, connect=5)
_FILE_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=5, sock_read=60)
_EXIT: Final = {400: NO, 401: FORBIDDEN, 403: FORBIDDEN, 429: UNAVAILABLE}


class Answer(NamedTuple):
    """A success: what was asked for, and what is said about it."""

    data: Any
    meta: dict[str, Any]


class Unavailable(Failure):
    """Nothing is known about the request: no answer, or one that says to try again."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message, UNAVAILABLE)
        self.retry_after = retry_after


class Api:
    """A session with the API; use it as an async context manager."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}", "User-Agent": "sendlog-cli"}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=_TIMEOUT)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def get(self, path: str, **query: str | None) -> Answer:
        """Read. Raises: Failure."""
        params = {name: value for name, value in query.items() if value is not None}
        return await self._ask("GET", path, params=params)

    async def post(self, path: str, body: dict[str, Any] | None = None) -> Answer:
        """Post once. Raises: Failure."""
        return await self._ask("POST", path, **({"json": body} if body is not None else {}))

    async def patch(self, path: str, body: dict[str, Any]) -> Answer:
        """Change. Raises: Failure."""
        return await self._ask("PATCH", path, json=body)

    async def delete(self, path: str) -> Answer:
        """Remove. Raises: Failure."""
        return await self._ask("DELETE", path)

    async def post_for_sure(
        self,
        path: str,
        body: dict[str, Any] | None,
        key: str,
        form: Callable[[], aiohttp.FormData] | None = None,
    ) -> Answer:
        """Post under an Idempotency-Key, again while nothing is known of it; a form is made for each try.

        Raises: Failure.
        """
        pause = 0.5
        for left in reversed(range(TRIES)):
            said: dict[str, Any] = {"json": body} if body is not None else {}
            if form is not None:
                said = {"data": form(), "timeout": _FILE_TIMEOUT}
            try:
                return await self._ask("POST", path, **said, headers={"Idempotency-Key": key})
            except Unavailable as problem:
                if not left:
                    again = f"repeat with --idempotency-key {key}"
                    raise Failure(f"not confirmed: {problem.message}; {again}", UNAVAILABLE) from problem
                await asyncio.sleep(min(problem.retry_after or pause, LONGEST_PAUSE))
                pause *= 2
        raise AssertionError

    async def download(self, path: str, **query: str | None) -> AsyncIterator[bytes]:
        """Yield a file as it comes; all of it has come when this ends. Raises: Failure."""
        assert self._session is not None
        url = yarl.URL(self._url + PREFIX + path, encoded=True)
        params = {name: value for name, value in query.items() if value is not None}
        try:
            async with self._session.get(
                url, allow_redirects=False, params=params, timeout=_FILE_TIMEOUT
            ) as response:
                if response.status != 200 or "Content-Disposition" not in response.headers:
                    await _read(response, self._url)
                    raise Failure(f"{url} is no file")
                async for piece in response.content.iter_any():
                    yield piece
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"{self._url} broke off: {why(error)}") from error

    async def upload(self, path: str, file: BinaryIO, content_type: str, **query: str) -> Answer:
        """Post a file as it is, without holding all of it. Raises: Failure."""
        return await self._ask(
            "POST",
            path,
            data=file,
            params=query,
            headers={"Content-Type": content_type},
            timeout=_FILE_TIMEOUT,
        )

    async def _ask(self, method: str, path: str, **arguments: Any) -> Answer:
        assert self._session is not None
        url = yarl.URL(self._url + PREFIX + path, encoded=True)
        try:
            async with self._session.request(method, url, allow_redirects=False, **arguments) as response:
                return await _read(response, self._url)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"{self._url} does not answer: {why(error)}") from error


def why(error: BaseException) -> str:
    """Return what went wrong on the way, in the system's own words."""
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    if isinstance(error, OSError) and error.strerror:
        return clean(error.strerror.split("[")[0].strip() or error.strerror)
    return clean(error) or type(error).__name__


async def _read(response: aiohttp.ClientResponse, url: str) -> Answer:
    try:
        body = await response.json(content_type=None)
    except ValueError:
        body = None
    if not isinstance(body, dict) or "success" not in body:
        message = f"{url} answered {response.status}, which is not Sendlog's API: check SENDLOG_URL"
        raise Unavailable(message) if response.status >= 500 else Failure(message, USAGE)
    if body["success"]:
        return Answer(body.get("data"), body.get("meta") or {})
    raise refused(response.status, body.get("error") or {}, response.headers.get("Retry-After"))


def refused(status: int, error: dict[str, Any], retry_after: str | None) -> Failure:
    """Return what an error of the API means for the command."""
    message = clean(error.get("message") or error.get("code") or f"the API answered {status}")
    details = "; ".join(
        f"{_place(detail)}{clean(detail.get('message'))}" for detail in error.get("details") or ()
    )
    if details:
        message = f"{message.removesuffix('; see details')}: {details}"
    if status >= 500:
        return Unavailable(message, float(retry_after) if retry_after and retry_after.isdigit() else None)
    return Failure(message, _EXIT.get(status, NO))


def _place(detail: dict[str, Any]) -> str:
    path = clean(detail.get("path") or "")
    return f"{path} " if path else ""
