"""Records on the wire: what is written is read back, and what is not ours is named as such."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.events import base, record, submission
from shared.events.base import EmailId, EventId, WorkspaceId
from tests.controls.emails import NOON, an_email


def _item(release: submission.Release = "turn") -> record.Record:
    event = submission.Requested(occurred_at=NOON, release=release, email=an_email())
    return record.Record(WorkspaceId("acme"), EmailId("e1"), EventId("id1"), event, 5, "cause", "trace")


def _decode(item: record.Record, **changes: str | None) -> record.Record:
    head = {name: value for name, value in (record.headers(item) | changes).items() if value is not None}
    return record.decode(record.nats_subject(item), head, record.payload(item.event), item.sequence)


def test_a_record_survives_the_wire() -> None:
    item = _item()
    assert record.nats_subject(item) == "emails.acme.e1.requested.turn"
    assert _decode(item) == item


def test_the_metadata_is_cloudevents() -> None:
    assert record.headers(_item()) == {
        "ce-specversion": "1.0",
        "ce-id": "id1",
        "ce-type": "sendlog.email.requested.v1",
        "ce-source": "/sendlog/gateway",
        "ce-time": "2026-11-24T12:00:00.000000Z",
        "ce-subject": "e1",
        "sendlog-causation": "cause",
        "traceparent": "trace",
    }


def test_what_is_not_known_of_a_record_is_not_written() -> None:
    assert {"sendlog-causation", "traceparent"}.isdisjoint(
        record.headers(_item()._replace(causation=None, traceparent=None))
    )


def test_a_time_is_told_in_utc() -> None:
    berlin = datetime(2026, 7, 1, 14, 0, tzinfo=timezone(timedelta(hours=2)))
    assert record.rfc3339(berlin) == "2026-07-01T12:00:00.000000Z"


@pytest.mark.parametrize(("micros", "fraction"), [(0, "000000"), (5, "000005"), (500_000, "500000")])
def test_a_time_has_its_microseconds(micros: int, fraction: str) -> None:
    at = datetime(2026, 7, 1, 12, 0, 0, micros, tzinfo=UTC)
    assert record.rfc3339(at) == f"2026-07-01T12:00:00.{fraction}Z"


def test_a_year_has_four_digits() -> None:
    assert record.rfc3339(datetime(999, 7, 1, tzinfo=UTC)) == "0999-07-01T00:00:00.000000Z"


def test_a_type_of_newer_software_is_unknown_not_broken() -> None:
    with pytest.raises(record.UnknownEvent, match=r"sendlog\.email\.photographed\.v1"):
        _decode(_item(), **{"ce-type": "sendlog.email.photographed.v1"})
    with pytest.raises(record.UnknownEvent, match=r"v2"):
        _decode(_item(), **{"ce-type": "sendlog.email.requested.v2"})


@pytest.mark.parametrize("missing", ["ce-type", "ce-id"])
def test_a_record_without_metadata_is_refused(missing: str) -> None:
    with pytest.raises(record.Undecodable, match="metadata"):
        _decode(_item(), **{missing: None})


def test_a_message_without_headers_is_refused() -> None:
    with pytest.raises(record.Undecodable, match="metadata"):
        record.decode("emails.acme.e1.sent", None, b"{}", 1)


def test_a_subject_that_names_no_email_is_refused() -> None:
    with pytest.raises(record.Undecodable):
        record.decode("emails.acme", record.headers(_item()), b"{}", 1)


def test_a_subject_and_a_type_that_disagree_are_refused() -> None:
    item = _item()
    with pytest.raises(record.Undecodable, match="disagree"):
        record.decode("emails.acme.e1.sent", record.headers(item), record.payload(item.event), 1)


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"[]", b"{}", b'{"occurred_at": "yesterday"}', b'{"occurred_at": 1}', b"\xff\xfe", b"null"],
)
def test_a_damaged_payload_is_refused(payload: bytes) -> None:
    with pytest.raises(record.Undecodable):
        record.decode("emails.acme.e1.cancelled", _head("cancelled"), payload, 1)


def test_the_archive_reads_what_it_was_given() -> None:
    event = _item().event.without_content()
    found = record.decode_archived("acme", "e1", "id1", event.type_name(), record.payload(event), 9)
    assert found == record.Record(WorkspaceId("acme"), EmailId("e1"), EventId("id1"), event, 9)


def test_the_archive_names_what_it_cannot_read() -> None:
    with pytest.raises(record.UnknownEvent):
        record.decode_archived("acme", "e1", "id1", "sendlog.email.photographed.v1", b"{}", 9)
    with pytest.raises(record.Undecodable):
        record.decode_archived("acme", "e1", "id1", "sendlog.email.sent.v1", b"{}", 9)


def test_every_event_says_whose_voice_it_is_and_is_registered_by_its_written_name() -> None:
    ours = [cls for cls in base.REGISTRY.values() if cls.__module__.startswith("shared.events.")]
    assert ours
    voices = {(cls.__module__, cls.voice) for cls in ours}
    assert len(voices) == len({module for module, _ in voices}) == len(record.VOICES), "one file, one voice"
    for cls in ours:
        assert cls.voice
        assert base.REGISTRY[f"sendlog.email.{cls.name}.v{cls.version}"] is cls


def _head(name: str) -> dict[str, str]:
    return {"ce-type": f"sendlog.email.{name}.v1", "ce-id": "id1", "ce-time": datetime.now(UTC).isoformat()}
