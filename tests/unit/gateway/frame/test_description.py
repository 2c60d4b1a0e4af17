"""The OpenAPI document and the docs page say what the table says, and stand by themselves."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import msgspec
import openapi_spec_validator
import pytest

from services.gateway import docs, openapi
from services.gateway.errors import STATUS
from services.gateway.routes import TABLE
from shared.runtime.configuration import PERMISSIONS

DOCUMENT: dict[str, Any] = json.loads(
    msgspec.json.encode(openapi.document(TABLE, "https://mail.example.com"))
)


def operations() -> list[dict[str, Any]]:
    return [operation for methods in DOCUMENT["paths"].values() for operation in methods.values()]


def test_the_document_is_valid_openapi_3_1() -> None:
    openapi_spec_validator.validate(DOCUMENT)


def test_every_route_is_described_and_nothing_else() -> None:
    described = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert described == {(route.method, route.full_path) for route in TABLE.routes}


def test_every_operation_has_its_own_id_and_names_a_permission_that_exists() -> None:
    assert len({operation["operationId"] for operation in operations()}) == len(TABLE.routes)
    assert {operation["x-permission"] for operation in operations()} <= set(PERMISSIONS)


def test_every_reference_leads_somewhere() -> None:
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(DOCUMENT)):
        found = DOCUMENT
        for part in reference.split("/"):
            found = found[part]


def test_the_document_says_nothing_of_python() -> None:
    text = json.dumps(DOCUMENT)
    assert "services." not in text
    assert "shared." not in text
    assert not any(
        "\\A" in pattern or "\\Z" in pattern for pattern in re.findall(r'"pattern": "(.*?)"', text)
    )


def test_secrets_appear_in_no_answer() -> None:
    shown = DOCUMENT["components"]["schemas"]["AccountShown"]["properties"]
    assert not {"secret", "password"} & set(shown)
    assert "key" not in DOCUMENT["components"]["schemas"]["KeyShown"]["properties"]


def test_a_body_that_may_be_left_out_is_described_so_and_no_other() -> None:
    asked = {
        f"{method.upper()} {path.removeprefix('/api/v1')}": how["requestBody"]["required"]
        for path, operations in DOCUMENT["paths"].items()
        for method, how in operations.items()
        if "requestBody" in how
    }
    optional = {name for name, required in asked.items() if not required}
    assert optional == {"POST /templates/{id}/publish", "POST /templates/{id}/render"}
    assert docs.render(DOCUMENT).count("Body (may be left out)") == len(optional)


def test_every_parameter_of_a_query_is_described() -> None:
    listed = DOCUMENT["paths"]["/api/v1/accounts"]["get"]["parameters"]
    assert {parameter["name"] for parameter in listed} == {"page", "per_page", "cursor"}


@pytest.mark.parametrize("code", STATUS)
def test_every_error_code_has_its_place_on_the_docs_page(code: str) -> None:
    assert f'id="{code}"' in docs.render(DOCUMENT)


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.loaded += [
            value or "" for name, value in attrs if name == "src" or (tag == "link" and name == "href")
        ]


def test_the_docs_page_needs_nothing_from_elsewhere_and_no_script() -> None:
    links = Links()
    links.feed(docs.render(DOCUMENT))
    assert links.loaded == ["/docs/docs.css"]
    assert not links.tags & {"script", "iframe", "style", "object"}
    assert not {name for name in links.attributes if name.startswith("on") or name == "style"}


def test_the_docs_page_escapes_what_the_document_says() -> None:
    evil = json.loads(json.dumps(DOCUMENT).replace("Open an SMTP account", "<img src=x>"))
    assert "<img" not in docs.render(evil)
