"""Rendering that takes too long is refused as that, and keeps nobody from the threads that files are written in."""

import asyncio
import threading
from types import SimpleNamespace
from typing import cast

import pytest

from services.gateway import errors, rendering_threads
from services.gateway.emails import repeats, submitting
from services.gateway.errors import ApiError
from services.gateway.request import Services
from tests.unit.gateway.emails import requests


async def test_what_takes_too_long_is_too_large_and_sent_by_nobody() -> None:
    done = threading.Event()
    try:
        with pytest.raises(ApiError, match="nothing was sent") as refused:
            await rendering_threads.run(done.wait, 0.05)
    finally:
        done.set()
    assert refused.value.code == errors.PAYLOAD_TOO_LARGE
    assert refused.value.message != repeats.UNCONFIRMED


async def test_slow_rendering_takes_no_thread_of_others_and_what_had_no_turn_may_be_tried_again() -> None:
    done = threading.Event()
    slow = [asyncio.create_task(rendering_threads.run(done.wait)) for _ in range(40)]
    try:
        await asyncio.sleep(0)
        assert await asyncio.wait_for(asyncio.to_thread(lambda: 5), 2) == 5
        with pytest.raises(ApiError, match="nothing was sent") as refused:
            await rendering_threads.run(lambda: 5, 0.05)
        assert refused.value.code == errors.UNAVAILABLE
    finally:
        done.set()
        await asyncio.gather(*slow)


async def test_a_send_that_is_late_with_its_rendering_is_not_unconfirmed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rendering_threads, "WITHIN", 0.002)
    text = "{% for x in rows %}{% for y in rows %}{{ y }}{% endfor %}{% endfor %}"
    body = requests.GOOD | {"text": text, "variables": {"rows": ["<x>"] * 90}}
    with pytest.raises(ApiError, match="nothing was sent") as refused:
        await submitting.checked(cast(Services, SimpleNamespace(templates=None)), "default", body)
    assert refused.value.code == errors.PAYLOAD_TOO_LARGE
