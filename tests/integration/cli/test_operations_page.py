"""The programs of docs/operations.md do what the page says they do."""

import asyncio
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import nats
import pytest

from shared.events import submission
from shared.runtime import keyring, topology
from shared.runtime.log import Log
from tests.controls.emails import a_record, a_request
from tests.controls.runtime import bootstrap, open_log
from tests.controls.servers import ROOT

_PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
_PROGRAMS = dict(re.findall(r"```python\n# ([^\n]+)\n(.*?)```", _PAGE, re.S))


async def _run(name: str, *words: str, **environment: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _PROGRAMS[name],
        *words,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def _messages(emails: Log, stream: str) -> int:
    return (await emails.client.jetstream().stream_info(stream)).state.messages


@pytest.mark.timeout(60)
async def test_readers_that_begin_anew_are_given_the_whole_log(clean_nats: str) -> None:
    await bootstrap(clean_nats)
    async with open_log(clean_nats) as (emails, publisher):
        request = a_request()
        await publisher.append(request)
        cancelled = submission.Cancelled(occurred_at=datetime.now(UTC))
        await publisher.append(a_record(cancelled, email_id=request.email_id))
        await _run("restore: read the log again", SENDLOG_NATS_URL=clean_nats)
        jetstream = emails.client.jetstream()
        for name in ("projector", "scheduler"):
            with pytest.raises(nats.js.errors.NotFoundError):
                await jetstream.consumer_info(topology.LOG, name)
        await bootstrap(clean_nats)
        assert (await jetstream.consumer_info(topology.LOG, "projector")).num_pending == 2
        assert (await jetstream.consumer_info(topology.LOG, "dispatcher")).num_pending == 1


async def test_a_rotated_keyring_still_opens_what_was_sealed_before(tmp_path: Path) -> None:
    place = tmp_path / "keyring"
    keyring.create(place)
    sealed = keyring.load(place).seal("s3cret", "default", "a")
    assert await _run("keyring: rotate", SENDLOG_KEYRING=str(place)) == "k2\n"
    ring = keyring.load(place)
    assert ring.open(sealed, "default", "a") == "s3cret"
    assert ring.seal("s3cret", "default", "a").startswith("v1.k2.")
    assert place.stat().st_mode & 0o777 == 0o600


def test_every_program_of_the_page_is_tried_here() -> None:
    assert set(_PROGRAMS) == {
        "restore: read the log again",
        "keyring: rotate",
    }
    assert _PAGE.count("```python") == len(_PROGRAMS)
