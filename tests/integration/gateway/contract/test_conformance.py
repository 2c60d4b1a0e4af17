"""What /openapi.json says is what the gateway does: every route, asked with what fits its description and what does not.

No answer is a 500 and none is of a status, a content type, a header or a form that the document does not name. The
requests are made by schemathesis out of the document, the same ones in each run.
"""

import os
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi import checks

from services.gateway import openapi
from services.gateway.routes import TABLE
from services.gateway.routing import Route
from tests.integration.gateway.contract.conftest import Subject

EXAMPLES: Final = int(os.environ.get("SENDLOG_TEST_EXAMPLES", "8"))  # of each route, fitting or not
DESCRIPTION: Final = schemathesis.openapi.from_dict(openapi.document(TABLE, "http://127.0.0.1"))
CHECKS: Final = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
# A body made at random is hardly ever one that is accepted, so half of them are these with something of it.
SENT: Final = {"to": "ann@world.test", "subject": "Hi", "text": "Hello."}
GOOD: Final[dict[str, dict[str, Any]]] = {
    "POST /emails/send": SENT,
    "POST /emails/validate": SENT,
    "POST /emails/batch": {"emails": [SENT, SENT]},
    "POST /accounts": {
        "name": "a",
        "host": "smtp.example.com",
        "port": 587,
        "identities": [{"address": "a@b.test"}],
    },
    "POST /keys": {"name": "k", "permissions": ["email.send"]},
    "POST /suppressions": {"email": "sam@world.test"},
    "POST /templates": {"name": "t", "subject": "s", "text": "t"},
}
VERIFY: Final = "/api/v1/accounts/{id}/verify"
# What the test itself lives on; everything else may be changed and removed.
KEPT: Final = {("DELETE", "/keys/{id}"), ("DELETE", "/accounts/{id}"), ("DELETE", "/templates/{id}")}


def _ask(subject: Subject, session: requests.Session, case: Case[Any]) -> None:
    case.headers["Authorization"] = f"Bearer {subject.token}"
    response = case.call(base_url=subject.url, session=session, timeout=20)
    # Nobody connects for this gateway, which is the one thing that may be missing here.
    assert response.status_code < 500 or (response.status_code, case.path) == (503, VERIFY), response.text
    case.validate_response(response, checks=CHECKS)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fits", "does_not_fit"]
)
@pytest.mark.parametrize("route", TABLE.routes, ids=lambda route: route.name)
def test_no_answer_is_one_the_document_does_not_name(
    subject: Subject, route: Route, mode: GenerationMode
) -> None:
    operation = DESCRIPTION[route.full_path][route.method]
    if mode is GenerationMode.NEGATIVE and not (route.ids or route.body or route.form or route.query):
        pytest.skip("nothing of this request could be wrong")
    there = subject.ids[route.path.split("/")[1]] if (route.method, route.path) not in KEPT else {}
    session = requests.Session()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode), known=st.booleans(), kept=st.integers(0, 3))
    def each(case: Case[Any], known: bool, kept: int) -> None:
        if known and case.path_parameters:
            given_ids: dict[str, Any] = case.path_parameters
            given_ids.update({name: there[name] for name in given_ids if name in there})
        if known and route.name in GOOD and isinstance(case.body, dict):
            case.body = dict(list(case.body.items())[:kept]) | GOOD[route.name]
        _ask(subject, session, case)

    each()
