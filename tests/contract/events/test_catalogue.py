"""The generated documents: complete, consistent in themselves, and noticed when they are stale."""

import json
from pathlib import Path
from typing import Any

from shared.events import asyncapi, catalogue, schema


def _references(part: Any) -> set[str]:
    if isinstance(part, dict):
        own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*(_references(value) for value in part.values()))
    if isinstance(part, list):
        return set().union(*(_references(value) for value in part))
    return set()


def _resolves(reference: str, document: dict[str, Any]) -> bool:
    found: Any = document
    for step in reference.removeprefix("#/").split("/"):
        found = found.get("schema", found) if isinstance(found, dict) else {}
        if step not in found:
            return False
        found = found[step]
    return True


def test_what_lies_in_docs_is_what_the_classes_say() -> None:
    assert catalogue.stale(catalogue.files()) == []


def test_a_changed_a_missing_and_a_leftover_file_are_noticed(tmp_path: Path) -> None:
    wanted = {"events.md": "now", "schemas/sent.v1.json": "{}", "asyncapi.json": "{}"}
    (tmp_path / "schemas").mkdir()
    (tmp_path / "events.md").write_text("before")
    (tmp_path / "asyncapi.json").write_text("{}")
    (tmp_path / "schemas" / "gone.v1.json").write_text("{}")
    stale = ["events.md", "schemas/gone.v1.json", "schemas/sent.v1.json"]
    assert catalogue.stale(wanted, tmp_path) == stale


def test_every_event_says_its_fact_and_its_evidence() -> None:
    for cls in schema.events():
        assert schema.fact(cls).endswith("."), cls
        assert schema.evidence(cls).endswith("."), cls
        assert f"### {cls.name}\n\n{schema.fact(cls)}" in catalogue.markdown()


def test_every_reference_in_asyncapi_leads_somewhere() -> None:
    document = json.loads(json.dumps(asyncapi.document()))
    references = _references(document)
    assert len(references) > 30
    assert [reference for reference in sorted(references) if not _resolves(reference, document)] == []


def test_every_reference_in_a_schema_leads_somewhere() -> None:
    for name, document in schema.documents().items():
        missing = [ref for ref in sorted(_references(document)) if not _resolves(ref, document)]
        assert missing == [], name


def test_a_time_is_published_as_a_time() -> None:
    deferred = schema.documents()["deferred.v1.json"]
    assert deferred["properties"]["next_attempt_at"] == {"type": "string", "format": "date-time"}
    scheduled_at = deferred["$defs"]["Email"]["properties"]["scheduled_at"]
    assert {"type": "string", "format": "date-time"} in scheduled_at["anyOf"]


def test_a_channel_is_the_subject_of_its_records() -> None:
    channels = asyncapi.document()["channels"]
    requested = channels["sendlog.email.requested.v1"]
    assert requested["address"] == "emails.{workspace}.{emailId}.requested.{release}"
    assert requested["parameters"]["release"]["enum"] == ["now", "turn", "at"]
    assert channels["sendlog.email.sent.v1"]["address"] == "emails.{workspace}.{emailId}.sent"
