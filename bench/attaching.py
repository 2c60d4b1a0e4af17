"""The row of composing a message with a file: laid out and encoded as the dispatcher does it, against the stdlib."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP

from bench.figures import Row
from shared.mail import composing, enclosing, mime
from shared.mail.address import Mailbox
from shared.runtime.message import STEP

SIZE = 1024 * 1024
TEXT, HTML = "A line of a receipt, as they are.\n" * 15, "<p>A paragraph of a receipt.</p>\n" * 15


async def compose(scale: int) -> list[Row]:
    """Composing html, text and a file of 1 MB against the stdlib's EmailMessage, both to the last byte."""
    data = os.urandom(SIZE)
    letter = composing.Letter(
        message_id="<1@sendlog.test>",
        date=datetime.now(UTC),
        from_address="hello@sendlog.test",
        to=(Mailbox("ann@example.com", "Ann"),),
        subject="Your receipt",
        html=HTML,
        text=TEXT,
        boundary="b" * 24,
        files=(
            enclosing.File(
                filename="receipt.pdf", content_type="application/pdf", size=SIZE, sha256="", key="k"
            ),
        ),
    )
    count = max(20 // scale, 4)
    ours = _best_ms(lambda: _written(letter, data), count)
    theirs = _best_ms(lambda: _by_stdlib(data), count)
    return [
        Row(
            name="composing with a file of 1 MB",
            figure=f"{ours:.1f} ms = 1/{theirs / ours:.1f}",
            control=f"EmailMessage {theirs:.1f} ms",
            bar="<= 1/4",
            met=theirs / ours >= 4,
            values={"ms": ours, "control_ms": theirs},
        )
    ]


def _written(letter: composing.Letter, data: bytes) -> bytes:
    pieces: list[bytes] = []
    for part in composing.lay_out(letter):
        if isinstance(part, bytes):
            pieces.append(part)
        else:
            pieces += [mime.base64_lines(data[at : at + STEP]) for at in range(0, len(data), STEP)]
    return b"".join(pieces)


def _by_stdlib(data: bytes) -> bytes:
    message = EmailMessage()
    message["From"], message["To"] = "hello@sendlog.test", "Ann <ann@example.com>"
    message["Subject"], message["Message-ID"] = "Your receipt", "<1@sendlog.test>"
    message.set_content(TEXT)
    message.add_alternative(HTML, subtype="html")
    message.add_attachment(data, maintype="application", subtype="pdf", filename="receipt.pdf")
    return message.as_bytes(policy=SMTP)


def _best_ms(call: Callable[[], object], count: int) -> float:
    best = float("inf")
    for _ in range(count):
        began = time.process_time()
        call()
        best = min(best, time.process_time() - began)
    return best * 1e3
