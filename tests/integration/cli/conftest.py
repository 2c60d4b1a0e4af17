"""A stubbed API and a command line that knows where it is."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.cli.stub_api import KEY, CommandLine, StubApi, serving


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """The command line: `await cli("list")`."""
    return CommandLine(capsys)


@pytest.fixture
async def api(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StubApi]:
    """An API that answers what is laid out for it; the command line is pointed at it."""
    async with serving(StubApi()) as stub:
        monkeypatch.setenv("SENDLOG_HOME", "/nowhere")
        monkeypatch.setenv("SENDLOG_URL", stub.url)
        monkeypatch.setenv("SENDLOG_API_KEY", KEY)
        yield stub
