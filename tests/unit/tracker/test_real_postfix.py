"""What a real Postfix of the test kit reported: each sample's recipient, status, class and envelope id."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from services.tracker import inbound
from services.tracker.signals import dsn, reply

_KIT: Final = Path(__file__).resolve().parents[4] / "shared" / "testkit"
_MANIFEST: Final = _KIT / "dsn-real" / "manifest.jsonl"
_SAMPLES: Final[list[dict[str, Any]]] = (
    [json.loads(line) for line in _MANIFEST.read_text(encoding="utf-8").splitlines()]
    if _MANIFEST.exists()
    else []
)


def test_the_kit_is_there() -> None:
    if not _SAMPLES:
        pytest.skip(f"no test kit at {_KIT}: the samples of a real Postfix are not read")
    assert len(_SAMPLES) >= 11


@pytest.mark.parametrize("sample", _SAMPLES, ids=[Path(one["file"]).stem for one in _SAMPLES])
def test_a_real_report_is_read_as_it_was_meant(sample: dict[str, Any]) -> None:
    _, telling = inbound.read((_KIT / sample["file"]).read_bytes())
    if sample["expected_class"] == "auto-reply":
        assert isinstance(telling, reply.Telling)
        assert telling.automatic is not None
        return
    assert isinstance(telling, dsn.Telling)
    [finding] = telling.report.findings
    assert finding.original == sample["expected_recipient"]
    assert finding.verdict.kind in sample["accept"]
    assert finding.verdict.code == sample["expected_status"]
    assert telling.envid == (sample["envid"] or "")
