"""What is printed of a URL: where it leads, never whose password it holds."""

import pytest

from shared.runtime import log
from shared.runtime.telemetry import without_credentials


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("nats://127.0.0.1:4222", "nats://127.0.0.1:4222"),
        ("nats://ann:s3cret@broker:4222", "nats://broker:4222"),
        ("nats://s3cret@broker", "nats://broker"),
        ("ann:s3cret@broker:4222", "broker:4222"),
        ("nats://ann:s3@cr/et://,x@broker:4222/", "nats://broker:4222/"),
        ("nats://ann:s3cret@a:1,nats://ann:s3cret@b:2", "nats://a:1,nats://b:2"),
        ("nats://[::1]:4222", "nats://[::1]:4222"),
    ],
)
def test_a_url_is_shown_without_its_credentials(url: str, shown: str) -> None:
    assert without_credentials(url) == shown


async def test_a_broker_that_is_not_there_is_named_without_its_credentials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr("nats.connect", refuse)
    with pytest.raises(log.BrokerUnavailable, match=r"no broker at nats://broker:4222: ") as caught:
        await log.connect("nats://ann:s3cret@broker:4222", "test")
    assert "s3cret" not in str(caught.value)
