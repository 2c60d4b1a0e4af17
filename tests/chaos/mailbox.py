"""What is in the development mailbox: each copy of each message, by what was in it when it left."""

import hashlib
import json
import urllib.request
from collections import defaultdict

from tests.controls.world import World


def mailbox_messages(world: World) -> dict[str, list[str]]:
    """Return Message-ID -> hash of each copy in the development mailbox, whoever sent it."""
    url = world.variables["SENDLOG_MAILBOX_URL"]
    with urllib.request.urlopen(f"{url}/messages", timeout=60) as answer:
        listed = json.load(answer)
    found: dict[str, list[str]] = defaultdict(list)
    for message in listed:
        with urllib.request.urlopen(f"{url}/messages/{message['id']}/raw", timeout=10) as raw:
            data = raw.read()
        body = data[data.find(b"\r\nMessage-ID: ") + 14 :]
        found[body[: body.find(b"\r\n")].decode()].append(hashlib.sha256(_own_part(data)).hexdigest())
    return dict(found)


def _own_part(data: bytes) -> bytes:
    """Return the message without what the receiving side put in front of it."""
    return data[max(data.find(b"Date: "), 0) :]
