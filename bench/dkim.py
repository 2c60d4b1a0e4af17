"""The row of DKIM: what a signature costs beyond the signature itself."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from bench.figures import Row
from shared.mail import composing, dkim
from shared.mail.address import Mailbox

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
HTML = "<p>A paragraph of a receipt,  as they are.</p>\n" * 11
PLAIN = "A line of a receipt, as they are. \n" * 15
URL = "https://links.sendlog.test/u/AQEB_one_click_and_a_token_as_long_as_ours_are_AAAAAAAAAAAA"


async def signing(scale: int) -> list[Row]:
    """Sign a message of html and text, 1 KB, against signing as many bytes with the same key and nothing else."""
    private = dkim.new_private_key("rsa")
    assert isinstance(private, rsa.RSAPrivateKey)
    signer = dkim.Signer("sendlog.test", [dkim.Key(private, "s202611-rsa-0123ab")])
    header, body = _message()

    def ours() -> None:
        hashed = dkim.BodyHash()
        hashed.update(body)
        signer.fields(header, hashed.digest(), AT)

    def raw() -> None:
        private.sign(header, padding.PKCS1v15(), hashes.SHA256())

    signed, control = _best_us((ours, raw), 1000 // scale)
    return [
        Row(
            name="DKIM, RSA-2048, html and text, 1 KB",
            figure=f"{signed:.0f} us = {signed / control:.2f} x",
            control=f"cryptography sign {control:.0f} us",
            bar="<= 1.25 x",
            met=signed / control <= 1.25,
            values={"us": signed, "control_us": control},
        )
    ]


def _message() -> tuple[bytes, bytes]:
    letter = composing.Letter(
        message_id="<1@sendlog.test>",
        date=AT,
        from_address="hello@sendlog.test",
        from_name="Sendlog",
        to=(Mailbox("ann@example.com", "Ann"),),
        subject="Your receipt",
        html=HTML,
        text=PLAIN,
        boundary="b" * 24,
        extra=(("List-Unsubscribe", f"<{URL}>"), ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")),
    )
    header, _, body = composing.compose(letter).partition(b"\r\n\r\n")
    return header + b"\r\n", body


def _best_us(calls: tuple[Callable[[], None], Callable[[], None]], count: int) -> tuple[float, float]:
    """Return the least CPU of each, taken in turns, so that a busy machine is busy for both."""
    best = [float("inf")] * len(calls)
    for _ in range(10):
        for place, call in enumerate(calls):
            began = time.process_time()
            for _ in range(count // 10):
                call()
            best[place] = min(best[place], (time.process_time() - began) / (count // 10))
    return best[0] * 1e6, best[1] * 1e6
