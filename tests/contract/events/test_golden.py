"""What is once in the log stays readable: every event class against its golden sample, and old ones too.

A golden file is written once, with the class, and never edited. A class that changed so that its file no
longer fits needs a new version and an upcaster, not a new file.
"""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from shared.events import record, schema
from shared.events.base import Event
from tests.contract.events.samples import SAMPLES, a_record

_GOLDEN = Path(__file__).parents[1] / "golden"
_CURRENT = {f"{type(event).name}.v{type(event).version}": event for event in SAMPLES}


def _golden(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((_GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    return found


def _decode(golden: dict[str, Any], extra: dict[str, Any] | None = None) -> record.Record:
    data = json.dumps(golden["payload"] | (extra or {})).encode()
    return record.decode(golden["subject"], golden["headers"], data, 7)


@pytest.mark.parametrize("cls", schema.events(), ids=lambda cls: cls.name)
def test_every_event_class_has_a_golden_sample(cls: type[Event]) -> None:
    name = f"{cls.name}.v{cls.version}"
    assert (_GOLDEN / f"{name}.json").exists(), f"add tests/contract/golden/{name}.json"
    assert name in _CURRENT, "say what it holds in tests/contract/events/samples.py"


@pytest.mark.parametrize("path", sorted(_GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_a_golden_sample_still_decodes(path: Path) -> None:
    assert _decode(_golden(path.stem)).event.name == path.stem.split(".")[0]


@pytest.mark.parametrize("name", _CURRENT)
def test_a_golden_sample_decodes_to_the_very_event(name: str) -> None:
    assert _decode(_golden(name)) == a_record(_CURRENT[name], sequence=7)


@pytest.mark.parametrize("name", _CURRENT)
def test_the_event_encodes_to_the_golden_sample(name: str) -> None:
    item = a_record(_CURRENT[name])
    encoded = {
        "subject": record.nats_subject(item),
        "headers": record.headers(item),
        "payload": json.loads(record.payload(item.event)),
    }
    assert encoded == _golden(name)


@pytest.mark.parametrize("name", _CURRENT)
def test_fields_of_a_newer_version_are_ignored(name: str) -> None:
    golden = _golden(name)
    newer = {"weather": "fine", "recipients_seen": [{"address": "ann@world.test"}]}
    assert _decode(golden, newer) == _decode(golden)


@pytest.mark.parametrize("name", _CURRENT)
def test_a_golden_sample_fulfils_the_published_schema(name: str) -> None:
    document = schema.documents()[f"{name}.json"]
    jsonschema.Draft202012Validator.check_schema(document)
    jsonschema.Draft202012Validator(document).validate(_golden(name)["payload"])


@pytest.mark.parametrize("name", _CURRENT)
def test_the_published_schema_refuses_what_lacks_a_field(name: str) -> None:
    payload = _golden(name)["payload"]
    del payload["occurred_at"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema.documents()[f"{name}.json"]).validate(payload)


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: event.name)
def test_the_archive_keeps_an_event_without_content(event: Event) -> None:
    assert b"body" not in record.payload(event.without_content())
