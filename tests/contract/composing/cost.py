"""Prints what composing costs beside the stdlib: `python -m tests.contract.composing.cost`. Not a timed test."""

import time
import timeit
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from email.policy import SMTP
from functools import partial
from typing import TypeVar

from services.dispatcher import envelope
from shared.mail import composing
from shared.mail.address import Mailbox
from tests.contract.composing import letters

Given = TypeVar("Given")
LETTERS = {
    "ASCII": ("Welcome to Example", "Hello Jane, welcome to our service today, glad.\n"),
    "German": ("Schön, dass du da bist, Jürgen", "Hällo Jane, willkommen bei uns, schön und gut.\n"),
    "Greek": ("Καλώς ήρθατε στην υπηρεσία μας", "Καλώς ήρθατε στην υπηρεσία.\n"),
}


def by_stdlib(letter: composing.Letter) -> bytes:
    message = EmailMessage()
    message["Date"] = letter.date
    message["From"] = letter.from_address
    message["To"] = f"{letter.to[0].name} <{letter.to[0].address}>"
    message["Message-ID"] = letter.message_id
    message["Subject"] = letter.subject
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text or "")
    message.add_alternative(letter.html or "", subtype="html")
    return message.as_bytes(policy=SMTP)


def main() -> None:
    print(f"{'html + text, 1 KB':20}{'compose':>10}{'stdlib':>10}{'ratio':>9}{'dot_stuff':>11}")
    for name, (subject, line) in LETTERS.items():
        html = f"<p>{line.strip()}</p>\n" * 10
        # A new addressee each time, as in life: what is cached for the sender does not help here.
        many = [
            letters.letter(
                subject=subject, text=line * 10, html=html, to=[Mailbox(f"j{n}@example.org", f"Jane {n}")]
            )
            for n in range(5000)
        ]
        ours = each(partial(all_of, composing.compose, many), len(many))
        stuffed = each(partial(all_of, envelope.stuffed, [composing.compose(many[0])] * 5000), 5000)
        stdlib = each(partial(all_of, by_stdlib, many[:200]), 200)
        print(f"{name:20}{ours:8.1f}µs{stdlib:8.0f}µs{'1/':>5}{stdlib / ours:<4.0f}{stuffed:9.1f}µs")


def all_of(work: Callable[[Given], bytes], inputs: Sequence[Given]) -> None:
    for given in inputs:
        work(given)


def each(work: Callable[[], None], count: int) -> float:
    """Return the microseconds of CPU one of `count` takes, in the best of five runs."""
    return min(timeit.repeat(work, timer=time.process_time, number=1, repeat=5)) / count * 1e6


if __name__ == "__main__":
    main()
