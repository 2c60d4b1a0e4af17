"""SpamAssassin reads what we send: whatever a mail holds, its MIME and its header give no reason for complaint."""

import asyncio
import hashlib
import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.events.email import Attachment, Content, Email
from shared.mail import dkim
from shared.mail.address import Mailbox
from shared.runtime.content import ContentStore
from shared.runtime.message import open_message
from tests.controls import dkim_reader
from tests.controls.emails import ACCOUNT, an_origin

TEXT = """Hello Ann,

thank you for your order. It was packed this morning and leaves our house in Brno tonight. You find the invoice
for your records in this message; there is nothing you have to do.

If anything is not as it should be, answer this message and somebody will read it. We wish you a nice day.

Your friends at the shop
"""


def page(text: str, picture: str = "") -> str:
    paragraphs = "".join(f"<p>{part}</p>" for part in text.strip().split("\n\n"))
    return f"<!DOCTYPE html><html><head><title>Order</title></head><body>{paragraphs}{picture}</body></html>"


CZECH = (
    "Příliš žluťoučký kůň úpěl ďábelské ódy. Vaše objednávka byla dnes ráno zabalena a večer odjíždí.\n" * 4
)
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000" "1f15c4890000000d49444154789c626001000000ffff03000006000557bfabd4"
    "0000000049454e44ae426082"
)  # fmt: skip
PDF = b"%PDF-1.4\n" + bytes(range(256)) * 40

ACCEPTED = {
    "NO_RECEIVED": "nobody has received it yet",
    "NO_RELAYS": "nobody has relayed it yet",
    "ALL_TRUSTED": "nobody has relayed it yet",
    "HTML_MESSAGE": "says that there is html",
    "DKIM_SIGNED": "says that there is a signature",
    "DKIM_INVALID": "the key is looked up in DNS, which is not asked here",
    "T_DKIM_INVALID": "the key is looked up in DNS, which is not asked here",
}


def a_file(store: ContentStore, name: str, kind: str, data: bytes, **fields: Any) -> Attachment:
    key = f"default/{hashlib.sha256(data).hexdigest()}"
    asyncio.run(store.put(key, data))
    digest = hashlib.sha256(data).hexdigest()
    return Attachment(
        id=name, filename=name, content_type=kind, size=len(data), sha256=digest, key=key, **fields
    )


def mails(store: ContentStore) -> dict[str, tuple[Content, dict[str, Any]]]:
    invoice = a_file(store, "invoice.pdf", "application/pdf", PDF)
    czech = a_file(store, "žluťoučký kůň.txt", "text/plain", CZECH.encode())
    logo = a_file(store, "logo.png", "image/png", PNG, content_id="logo@shop", disposition="inline")
    both = Content(text=TEXT, html=page(TEXT))
    # Few words around a picture look like an advertisement, however they are sent.
    long = "\n".join([TEXT] * 10)
    shown = Content(text=long, html=page(long, '<img src="cid:logo@shop" alt="">'))
    url = {"unsubscribe_url": "https://links.shop.example.com/u/AQEB_one_click_AAAAAAAAAAAAAAAAAAAAAAAAAA"}
    names = {
        "from_": Mailbox("obchod@shop.example.com", "Žluťoučký obchod"),
        "to": (Mailbox("ann@example.net", "Anna Dvořáková, Brno"),),
        "subject": "Objednávka č. 20261124 – děkujeme, už je na cestě k vám domů do Brna",
    }
    return {
        "text": (Content(text=TEXT), {}),
        "html_and_text": (both, {}),
        "attachment": (both, {"attachments": (invoice,)}),
        "text_and_attachment": (Content(text=TEXT), {"attachments": (invoice,)}),
        "inline_image": (shown, {"attachments": (logo, invoice)}),
        "names_beyond_ascii": (Content(text=CZECH), {"attachments": (czech,), **names}),
        "unsubscribe": (both, url),
        "copies_and_replies": (
            both,
            {"cc": (Mailbox("bob@example.net"),), "reply_to": (Mailbox("help@shop.example.com", "Help"),)},
        ),
        "everything": (shown, {"attachments": (logo, invoice, czech), **names, **url}),
    }


def the_email(number: int, **fields: Any) -> Email:
    values: dict[str, Any] = {
        "message_id": f"<019ab000-0000-7000-8000-{number:012d}@shop.example.com>",
        "date": datetime.now(UTC),
        "boundary": "=_019ab0c17b2a7c3d8e4f5a6b7c8d9e0f",
        "from_": Mailbox("orders@shop.example.com", "The Shop"),
        "to": (Mailbox("ann@example.net", "Ann Example"),),
        "subject": "Your order is on its way",
        "account_id": ACCOUNT,
    }
    return Email(**(values | fields))


async def written(store: ContentStore, content: Content, sent: Email, signer: dkim.Signer) -> bytes:
    return b"".join(
        [piece async for piece in open_message(sent, content, store, an_origin(), signer=signer).pieces()]
    )


@pytest.fixture(scope="module")
def hits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The rules that each mail hits; one run reads them all, for it takes seconds to start."""
    if shutil.which("spamassassin") is None:
        pytest.skip("spamassassin is not installed (Debian: apt install spamassassin)")
    home = tmp_path_factory.mktemp("spamassassin")
    store = ContentStore(f"file://{home}/content")
    private = dkim.new_private_key("rsa")
    signer = dkim.Signer("shop.example.com", [dkim.Key(private, "s202611-rsa-0123ab")])
    files: list[Path] = []
    for number, (name, (content, fields)) in enumerate(mails(store).items()):
        message = asyncio.run(written(store, content, the_email(number, **fields), signer))
        assert dkim_reader.verdicts(
            message, lambda _: dkim.record_value("rsa", dkim.public_part(private))
        ) == [True]
        files.append(home / name)
        files[-1].write_bytes(message)
    # The check of the check: this one has faults, and a run that finds none of them has read nothing.
    files.append(home / "faulty")
    files[-1].write_bytes(b"Subject: FREE\r\nFrom: x\r\n\r\nbuy\r\n")
    run = subprocess.run(
        ["spamassassin", "-L", "-t", *files],
        capture_output=True, timeout=110, env={**os.environ, "HOME": str(home)}, check=False,
    )  # fmt: skip
    reports = run.stdout.decode("utf-8", "replace").split("Content analysis details:")[1:]
    assert len(reports) == len(files), run.stderr.decode()[-500:]
    rules = (set(re.findall(r"^\s*-?\d+\.\d ([A-Z][A-Z0-9_]+) ", report, re.MULTILINE)) for report in reports)
    return dict(zip((file.name for file in files), rules, strict=True))


def test_a_faulty_mail_is_told_from_ours(hits: dict[str, set[str]]) -> None:
    assert {"MISSING_MID", "MISSING_DATE"} <= hits["faulty"]


def test_no_rule_complains_about_what_we_send(hits: dict[str, set[str]]) -> None:
    for name, rules in hits.items():
        assert name == "faulty" or rules <= set(ACCEPTED), name
