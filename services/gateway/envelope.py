"""Owns the wire form of every answer: the success envelope, the error envelope, and RFC 9457 on request.

Whatever leaves has the request's id, and no error says more about our inside than its code and message.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import msgspec

from services.gateway.answer import Answer, FileAnswer
from services.gateway.errors import ApiError, Problem
from services.gateway.request import Download

JSON: Final = "application/json; charset=utf-8"
PROBLEM_JSON: Final = "application/problem+json"
_encode: Final = msgspec.json.Encoder().encode


class Success(msgspec.Struct, frozen=True):
    """What a request gets that did what it should."""

    success: bool
    data: Any
    meta: Any = msgspec.UNSET


class Error(msgspec.Struct, frozen=True):
    """The code to act on, the message to read, and every problem with its place."""

    code: str
    message: str
    details: tuple[Problem, ...] | msgspec.UnsetType = msgspec.UNSET


class Failure(msgspec.Struct, frozen=True):
    """What a refused request gets."""

    success: bool
    error: Error
    request_id: str


class ProblemDetails(msgspec.Struct, frozen=True):
    """The same as RFC 9457 writes it."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    details: tuple[Problem, ...] | msgspec.UnsetType = msgspec.UNSET


def success(status: int, data: Any, meta: Any, headers: Mapping[str, str]) -> Answer:
    """Return the answer of a handler."""
    body = _encode(Success(True, data, msgspec.UNSET if meta is None else meta))
    return _response(status, body, JSON, headers)


def file(status: int, download: Download, headers: Mapping[str, str]) -> FileAnswer:
    """Return the answer of a handler that gives a file: to be saved, whatever it is."""
    told = {
        **headers,
        "Content-Type": download.content_type,
        "Content-Disposition": _saved_as(download.filename),
    }
    return FileAnswer(download.status or status, download.size, download.pieces, told)


def _saved_as(filename: str) -> str:
    """Return the disposition with the name twice (RFC 6266, 4.3): as ASCII, and as it is where it is not."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in filename)
    if plain == filename:
        return f'attachment; filename="{plain}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


def failure(error: ApiError, request_id: str, accept: str, headers: Mapping[str, str]) -> Answer:
    """Return the refusal, as RFC 9457 if the client accepts that."""
    details = error.details or msgspec.UNSET
    if PROBLEM_JSON in accept:
        title = HTTPStatus(error.status).phrase
        problem = ProblemDetails(
            f"/docs#{error.code}", title, error.status, error.message, error.code, request_id, details
        )
        return _response(error.status, _encode(problem), PROBLEM_JSON, {**headers, **error.headers})
    body = _encode(Failure(False, Error(error.code, error.message, details), request_id))
    return _response(error.status, body, JSON, {**headers, **error.headers})


def _response(status: int, body: bytes, content_type: str, headers: Mapping[str, str]) -> Answer:
    return Answer(status, body, {**headers, "Content-Type": content_type})
