"""Owns the OpenAPI 3.1 document, written from the route table and the structs that validate.

Nothing in it is written by hand for one route: what routes, validates and answers is what is described.
"""

from typing import Any, Final

import msgspec

from services.gateway import envelope, errors, path_parameters
from services.gateway.errors import STATUS
from services.gateway.routing import Route, Table
from shared.runtime.configuration import PERMISSIONS

_REF: Final = "#/components/schemas/{name}"
_ALWAYS: Final = (
    errors.UNAUTHORIZED,
    errors.FORBIDDEN,
    errors.RATE_LIMITED,
    errors.INTERNAL_ERROR,
    errors.UNAVAILABLE,
)
FORM: Final = "multipart/form-data"
_LIMITS: Final = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
_WHEN: Final = {
    400: "The request is not valid; `details` lists every problem with its path",
    401: "No key, or one that is unknown, expired or revoked",
    403: "The key lacks the permission, which the message names",
    404: "There is no such thing in this workspace",
    408: "The body did not arrive in time",
    409: "What is there does not allow it, or the Idempotency-Key was used for another request",
    413: "The body is too large",
    415: "The body is of another content type, or compressed",
    416: "There is nothing of the file in that range",
    422: "The request is valid, but what it refers to cannot be used",
    429: "The key's limit is reached; `Retry-After` says for how long",
    500: "A fault of ours",
    503: "Something of ours does not answer right now; repeat after `Retry-After` seconds",
}


def document(table: Table, public_url: str) -> dict[str, Any]:
    """Return the OpenAPI document of all routes of the table."""
    kinds = [kind for route in table.routes for kind in _kinds(route)]
    kinds = [kind for kind in kinds if kind is not None]
    schemas, components = msgspec.json.schema_components(
        [*kinds, envelope.Failure, envelope.ProblemDetails], ref_template=_REF
    )
    schema_of = {id(kind): schema for kind, schema in zip(kinds, schemas, strict=False)}
    paths: dict[str, dict[str, Any]] = {}
    for route in table.routes:
        paths.setdefault(route.full_path, {})[route.method.lower()] = _operation(route, schema_of, components)
    for route in table.routes:  # spread over the parameters by now
        if route.query is not None:
            components.pop(_named(schema_of[id(route.query)]), None)
    components["Error"]["properties"]["code"]["enum"] = list(STATUS)
    whole = _whole(table, public_url, paths, components)
    return msgspec.json.decode(_without_python(msgspec.json.encode(whole), components), type=dict)


def _kinds(route: Route) -> tuple[Any, ...]:
    return (route.data, route.meta, route.body, route.form, route.query)


def _whole(
    table: Table, public_url: str, paths: dict[str, Any], components: dict[str, Any]
) -> dict[str, Any]:
    key = {
        "type": "http",
        "scheme": "bearer",
        "description": f"An API key. Permissions: {', '.join(PERMISSIONS)}.",
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sendlog",
            "version": "1",
            "description": "Accepts an email, remembers it, sends it, and tells what became of it.",
        },
        "servers": [{"url": public_url}],
        "security": [{"key": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in table.routes)],
        "paths": paths,
        "components": {"schemas": components, "headers": _headers(), "securitySchemes": {"key": key}},
    }


def _without_python(document: bytes, components: dict[str, Any]) -> bytes:
    """Give structs of one name in two modules short names, and patterns JavaScript's anchors."""
    for name in components:
        if "." in name:
            *_, module, short = name.split(".")
            document = document.replace(f'{name}"'.encode(), f'{module.title()}{short}"'.encode())
    return document.replace(b'"pattern":"\\\\A', b'"pattern":"^').replace(b'\\\\Z"', b'$"')


def _named(schema: dict[str, Any]) -> str:
    """Return the name of the component a reference leads to."""
    return str(schema["$ref"]).rpartition("/")[2]


def _operation(route: Route, schema_of: dict[int, Any], components: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "tags": [route.tag],
        "summary": route.summary,
        "description": f"{route.description}\n\nNeeds the permission `{route.permission}`.".strip(),
        "x-permission": route.permission,
        "parameters": [*_path(route), *_query(route, schema_of, components), *_request_headers(route)],
        "responses": {**_successes(route, schema_of), **_failures(route)},
    }
    if route.body is not None:
        content = {"application/json": {"schema": schema_of[id(route.body)]}}
        operation["requestBody"] = {"required": not route.may_be_empty, "content": content}
    if route.form is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {FORM: {"schema": schema_of[id(route.form)]}},
        }
    if route.upload is not None:
        file = {route.upload: {"schema": {"type": "string", "format": "binary"}}}
        operation["requestBody"] = {"required": True, "content": file}
    return operation


def _operation_id(route: Route) -> str:
    words = [part.strip("{}") for part in route.path.strip("/").split("/")]
    return "_".join([route.method.lower(), *words])


def _path(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": path_parameters.schema(name)}
        for name in route.ids
    ]


def _query(route: Route, schema_of: dict[int, Any], components: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one parameter for each field of the query's struct."""
    if route.query is None:
        return []
    struct = components[_named(schema_of[id(route.query)])]
    return [
        {"name": name, "in": "query", "required": name in struct.get("required", []), "schema": schema}
        for name, schema in struct["properties"].items()
    ]


def _request_headers(route: Route) -> list[dict[str, Any]]:
    if not route.idempotency_key:
        return []
    schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x20-\\x7e]+$"}
    what = (
        "Names this request: a repeat with the same key gets the first answer again, and there is one email."
    )
    return [{"name": "Idempotency-Key", "in": "header", "description": what, "schema": schema}]


def _successes(route: Route, schema_of: dict[int, Any]) -> dict[str, Any]:
    success = _success(route, schema_of)
    if errors.RANGE_NOT_SATISFIABLE in route.errors:
        return {str(route.status): success, "206": {**success, "description": "The range asked for"}}
    if route.also is not None:
        return {str(route.status): success, str(route.also): success}
    return {str(route.status): success}


def _success(route: Route, schema_of: dict[int, Any]) -> dict[str, Any]:
    if route.produces is not None:
        schema: dict[str, Any] = {"type": "string", "format": "binary"}
        kinds = (route.produces,) if isinstance(route.produces, str) else route.produces
        return {
            "description": route.summary,
            "headers": _refs("X-Request-Id", *_LIMITS, "Content-Disposition"),
            "content": {kind: {"schema": schema} for kind in kinds},
        }
    properties = {"success": {"const": True}, "data": schema_of[id(route.data)]}
    if route.meta is not None:
        properties["meta"] = schema_of[id(route.meta)]
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {
        "description": route.summary,
        "headers": _refs("X-Request-Id", *_LIMITS),
        "content": {"application/json": {"schema": schema}},
    }


def codes(route: Route) -> list[str]:
    """Return every error code the route may answer with."""
    found = {*_ALWAYS, *route.errors, errors.VALIDATION_ERROR}
    if route.ids:
        found.add(errors.NOT_FOUND)
    if route.body is not None or route.form is not None or route.upload is not None:
        found |= {errors.PAYLOAD_TOO_LARGE, errors.UNSUPPORTED_MEDIA_TYPE, errors.REQUEST_TIMEOUT}
    elif route.method == "POST":
        found |= {errors.PAYLOAD_TOO_LARGE, errors.REQUEST_TIMEOUT}
    if route.idempotency_key:
        found.add(errors.IDEMPOTENCY_MISMATCH)
    return sorted(found, key=lambda code: (STATUS[code], code))


def _failures(route: Route) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for code in codes(route):
        status = STATUS[code]
        named = responses.setdefault(str(status), _failure(status))
        named["description"] += f" (`{code}`)"
    return responses


def _failure(status: int) -> dict[str, Any]:
    waits = ("Retry-After",) if status in (429, 503) else ()
    limits = () if status == 401 else _LIMITS
    return {
        "description": _WHEN[status],
        "headers": _refs("X-Request-Id", *limits, *waits),
        "content": {
            "application/json": {"schema": {"$ref": _REF.format(name="Failure")}},
            envelope.PROBLEM_JSON: {"schema": {"$ref": _REF.format(name="ProblemDetails")}},
        },
    }


def _refs(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _headers() -> dict[str, Any]:
    def header(what: str, kind: str) -> dict[str, Any]:
        return {"description": what, "schema": {"type": kind}}

    return {
        "X-Request-Id": header("The caller's, if it sent a sane one, or a fresh one", "string"),
        "RateLimit-Limit": header("Requests this key may make in a minute", "integer"),
        "RateLimit-Remaining": header("Requests it has left", "integer"),
        "RateLimit-Reset": header("Seconds until it has all of them again", "integer"),
        "Content-Disposition": header("`attachment`, and the name to save it under", "string"),
        "Retry-After": header("Seconds to wait before repeating the request", "integer"),
    }
