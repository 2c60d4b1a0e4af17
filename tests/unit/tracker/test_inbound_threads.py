"""A large message is read and judged in a thread: the others do not wait for it."""

import threading
from pathlib import Path
from typing import Any

import pytest

from services.tracker.addressing import Finder
from services.tracker.evidence import Case, Said
from services.tracker.inbound import Inbound
from services.tracker.signals import dsn
from shared.runtime import handles
from shared.runtime.content import ContentStore
from tests.controls.emails import TOKENS, WORKSPACE, a_request
from tests.fakes.log import FakeLog
from tests.fakes.suppressions import FakeSuppressions

REPORT = """From: MAILER-DAEMON@mx.test
To: {to}
Subject: Undelivered Mail Returned to Sender
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b

{words}I could not deliver it.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.test

Final-Recipient: rfc822; ann@world.test
Action: failed
Status: 5.1.1

--b--
"""


async def test_a_large_message_is_judged_beside_the_others_and_a_small_one_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[str] = []
    said = dsn.Telling.said

    def noted(telling: dsn.Telling, case: Case) -> list[Said]:
        judged.append(threading.current_thread().name)
        return said(telling, case)

    monkeypatch.setattr(dsn.Telling, "said", noted)
    log, item = FakeLog(), a_request("ann@world.test")
    store, archive = ContentStore(tmp_path.as_uri()), None
    parts: Any = (log, log, FakeSuppressions(), store, Finder(TOKENS, lambda: [WORKSPACE]), archive)
    await log.append(item, guard=0)
    to = handles.return_path(TOKENS, item.workspace, item.email_id, "platform.test", "hello@sendlog.test")
    for words in ("", "It went wrong.\n" * 700):
        raw = REPORT.format(to=to, words=words).replace("\n", "\r\n").encode()
        result = await Inbound(*parts).take(raw, (to,))
        assert [one.event.name for one in result.said] == ["bounced"]
    here = threading.current_thread().name
    assert judged[0] == here
    assert judged[1] != here
