"""Owns the pages that need no key: /openapi.json and /docs, made once at start from the OpenAPI document.

Works offline and without scripts: nothing is fetched from elsewhere, and the content policy forbids it.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web

from services.gateway.errors import STATUS

Page = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
_STYLE: Final = Path(__file__).with_name("assets") / "docs.css"
_SECURITY: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
    "Server": "sendlog",
}


def pages(document: dict[str, Any]) -> dict[str, Page]:
    """Return the handler of each public path."""
    return {
        "/openapi.json": _fixed(msgspec.json.encode(document), "application/json; charset=utf-8"),
        "/docs": _fixed(render(document).encode(), "text/html; charset=utf-8"),
        "/docs/docs.css": _fixed(_STYLE.read_bytes(), "text/css; charset=utf-8"),
    }


def _fixed(body: bytes, content_type: str) -> Page:
    headers = {**_SECURITY, "Content-Type": content_type}

    async def page(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=body, headers=headers)

    return page


def render(document: Mapping[str, Any]) -> str:
    """Return the whole page. Everything that comes from the document is escaped. Pure."""
    operations = [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    sections = []
    for tag in (tag["name"] for tag in document["tags"]):
        mine = [_operation(*entry) for entry in operations if tag in entry[2]["tags"]]
        sections.append(f'<section id="{_anchor(tag)}"><h2>{escape(tag)}</h2>{"".join(mine)}</section>')
    schemas = "".join(_schema(name, schema) for name, schema in document["components"]["schemas"].items())
    title = escape(document["info"]["title"])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{title} API</title><link rel="stylesheet" href="/docs/docs.css"></head><body>'
        f"<nav><strong>{title}</strong>{_navigation(document)}</nav><main><h1>{title} API</h1>"
        f"<p>{escape(document['info']['description'])}</p>"
        "<p>Every call sends <code>Authorization: Bearer sk_…</code>. The same as a document for machines: "
        '<a href="/openapi.json">openapi.json</a>.</p>'
        f"{''.join(sections)}{_errors()}"
        f'<section id="objects"><h2>Objects</h2>{schemas}</section></main></body></html>'
    )


def _navigation(document: Mapping[str, Any]) -> str:
    names = [*(tag["name"] for tag in document["tags"]), "Errors", "Objects"]
    return "".join(f'<a href="#{_anchor(name)}">{escape(name)}</a>' for name in names)


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    rows = [
        (parameter["name"], parameter["in"], parameter["schema"], parameter.get("required", False))
        for parameter in operation["parameters"]
    ]
    sent = _sent(operation["requestBody"]) if "requestBody" in operation else ""
    answers = "".join(
        f"<tr><td>{escape(status)}</td><td>{escape(answer['description'])}</td></tr>"
        for status, answer in operation["responses"].items()
    )
    success = next(iter(operation["responses"].values()))["content"]
    return (
        f'<article id="{escape(operation["operationId"])}">'
        f'<h3><span class="method {method.lower()}">{method}</span> <code>{escape(path)}</code></h3>'
        f"<p><strong>{escape(operation['summary'])}</strong></p>"
        f"{''.join(f'<p>{escape(part)}</p>' for part in operation['description'].split(chr(10) * 2))}"
        f"{_parameters(rows)}{sent}<p>Answer: {_answer(success)}</p>"
        f"<details><summary>Statuses</summary><table>{answers}</table></details></article>"
    )


def _sent(request: Mapping[str, Any]) -> str:
    body = next(told["schema"] for told in request["content"].values())
    return f"<p>Body{'' if request['required'] else ' (may be left out)'}: {_kind(body)}</p>"


def _answer(content: Mapping[str, Any]) -> str:
    if "application/json" not in content:
        return f"a file, {' or '.join(f'<code>{escape(kind)}</code>' for kind in content)}"
    return f"data is {_kind(content['application/json']['schema']['properties']['data'])}"


def _parameters(rows: list[tuple[str, str, Mapping[str, Any], bool]]) -> str:
    if not rows:
        return ""
    cells = "".join(
        f"<tr><td><code>{escape(name)}</code>{' *' if required else ''}</td>"
        f"<td>{escape(place)}</td><td>{_kind(schema)}</td></tr>"
        for name, place, schema, required in rows
    )
    return f"<table><tr><th>Parameter</th><th>In</th><th>Type</th></tr>{cells}</table>"


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    required = schema.get("required", [])
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code>{' *' if field in required else ''}</td><td>{_kind(kind)}</td></tr>"
        for field, kind in schema.get("properties", {}).items()
    )
    about = f"<p>{escape(schema['description'])}</p>" if schema.get("description") else ""
    return f'<article id="{_anchor(name)}"><h3>{escape(name)}</h3>{about}<table>{rows}</table></article>'


def _errors() -> str:
    rows = "".join(
        f'<tr id="{code}"><td>{status}</td><td><code>{code}</code></td></tr>'
        for code, status in STATUS.items()
    )
    return f'<section id="errors"><h2>Errors</h2><table>{rows}</table></section>'


def _kind(schema: Mapping[str, Any]) -> str:
    """Say in a few words what a JSON Schema admits, with a link where it is an object of ours."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{_anchor(name)}">{escape(name)}</a>'
    if "anyOf" in schema:
        return " or ".join(_kind(option) for option in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(choice))}</code>" for choice in schema["enum"])
    kind = str(schema.get("type", "any value"))
    if kind == "array" and isinstance(schema.get("items"), Mapping):
        kind_text = f"array of {_kind(schema['items'])}"
    else:
        kind_text = escape(f"{kind} ({schema['format']})" if "format" in schema else kind)
    return kind_text + "".join(_bounds(schema))


def _bounds(schema: Mapping[str, Any]) -> Iterator[str]:
    for name, word in (
        ("minimum", "≥"),
        ("maximum", "≤"),
        ("maxLength", "length ≤"),
        ("maxItems", "items ≤"),
    ):
        if name in schema:
            yield f", {word} {escape(str(schema[name]))}"
    if isinstance(schema.get("default"), str | int | float):
        yield f", default <code>{escape(msgspec.json.encode(schema['default']).decode())}</code>"
    if "description" in schema:
        yield f": {escape(schema['description'])}"


def _anchor(name: str) -> str:
    return escape(name.lower().replace(" ", "-"))
