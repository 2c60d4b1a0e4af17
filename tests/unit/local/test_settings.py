"""What the local world reads from its environment."""

import pytest

from deploy.local import settings


@pytest.mark.parametrize("name", ["SENDLOG_GATEWAY_PORT", "SENDLOG_TRACKER_PORT", "SENDLOG_INGRESS_PORT"])
@pytest.mark.parametrize("value", ["http", "0", "65536", "-1", "80 ", "²", "9" * 5000])
def test_a_port_that_is_none_is_refused_by_its_variable(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(settings.Misused, match=f"{name} must be a port number"):
        settings.read()


def test_two_variables_with_one_port_are_both_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENDLOG_GATEWAY_PORT", "8025")
    with pytest.raises(settings.Misused, match="SENDLOG_GATEWAY_PORT and SENDLOG_MAILBOX_PORT are both 8025"):
        settings.read()


def test_state_lives_in_the_checkout_unless_said_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SENDLOG_HOME", raising=False)
    assert settings.read().home == settings.ROOT / ".sendlog"


def test_mail_is_handed_in_as_the_tracker_is_told_to_speak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENDLOG_INGRESS_PORT", "2600")
    monkeypatch.delenv("SENDLOG_INGRESS_PROTOCOL", raising=False)
    assert settings.read().ingress_url == "smtp://127.0.0.1:2600"
    monkeypatch.setenv("SENDLOG_INGRESS_PROTOCOL", "lmtp")
    assert settings.read().ingress_url == "lmtp://127.0.0.1:2600"
