"""Files in the whole local world, from either call through a real Postfix into Dovecot, and back by the API."""

import asyncio
import base64
import json
import os
import urllib.request
import uuid
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest

from tests.controls import mailworld
from tests.controls.attachments import LONE_DOT
from tests.controls.eventually import eventually
from tests.controls.mailworld import MailWorld
from tests.controls.world import World

HTML = "<p>Grüße <img src='cid:logo@x'></p>"
FIELDS = {"from": "hello@sendlog.test", "subject": "Grüße", "text": "Grüße\n.\n", "html": HTML}


@pytest.fixture(scope="module")
def mail() -> Iterator[MailWorld]:
    mailworld.need()
    started = MailWorld()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def world(mail: MailWorld) -> Iterator[World]:
    started = World()
    started.start(within=90)
    yield started
    started.stop()


def opened(world: World, path: str, data: bytes | None = None, kind: str = "application/json") -> bytes:
    request = urllib.request.Request(
        f"{world.variables['SENDLOG_URL']}/api/v1{path}",
        data=data,
        headers={"Authorization": f"Bearer {world.key}", "Content-Type": kind},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: bytes = answer.read()
    return found


def by_form(world: World, account: str, to: str, files: dict[str, bytes]) -> str:
    """Send with every file as a part, and return the email's id."""
    mark = uuid.uuid4().hex
    parts: list[bytes] = []
    for number, (name, data) in enumerate(files.items()):
        head = f'--{mark}\r\nContent-Disposition: form-data; name="f{number}"; filename="{name}"\r\n'
        parts += [head.encode(), b"Content-Type: application/octet-stream\r\n\r\n", data, b"\r\n"]
    for name, value in {**FIELDS, "to": to, "smtp_account_id": account}.items():
        parts.append(f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
    body = b"".join([*parts, f"--{mark}--\r\n".encode()])
    kind = f"multipart/form-data; boundary={mark}"
    found: str = json.loads(opened(world, "/emails/send/multipart", body, kind))["data"]["id"]
    return found


def by_json(world: World, account: str, to: str, files: dict[str, bytes]) -> str:
    """Send with every file in base64, and return the email's id."""
    attachments: list[dict[str, Any]] = [
        {"filename": name, "content": base64.b64encode(data).decode()} for name, data in files.items()
    ]
    attachments[-1] |= {"content_id": "logo@x", "disposition": "inline", "content_type": "image/png"}
    body = {**FIELDS, "to": to, "smtp_account_id": account, "attachments": attachments}
    found: str = world.call("POST", "/emails/send", body)["data"]["id"]
    return found


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("way", "size", "to"),
    [(by_form, 3 * 1024 * 1024, "alice@world.test"), (by_json, 500_000, "bob@world.test")],
    ids=["form", "json"],
)
async def test_files_arrive_bit_by_bit_and_are_given_back(
    world: World, mail: MailWorld, way: Any, size: int, to: str
) -> None:
    files = {"random.bin": os.urandom(size), "ž-naïve.txt": LONE_DOT, "logo.png": b"\x89PNG\r\n"}
    account = await asyncio.to_thread(world.account, mail.mx, f"mailworld {to}")
    await asyncio.sleep(1.5)  # an account is known to every process after a second
    email_id = await asyncio.to_thread(way, world, account, to, files)
    (received,) = await eventually(lambda: mail.received(to), within=60, every=0.5)
    message = message_from_bytes(received, policy=policy.default)
    assert isinstance(message, EmailMessage)
    leaves = [part for part in message.walk() if not part.is_multipart()]
    assert {part.get_filename(): part.get_payload(decode=True) for part in leaves[2:]} == files
    shown = await asyncio.to_thread(opened, world, f"/emails/{email_id}/raw")
    assert received.endswith(shown)
    record = (await asyncio.to_thread(world.call, "GET", f"/emails/{email_id}"))["data"]
    assert record["status"] == "sent"
    given_back = {
        one["filename"]: opened(world, f"/emails/{email_id}/attachments/{one['id']}")
        for one in record["attachments"]
    }
    assert given_back == files
