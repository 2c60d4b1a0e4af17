"""What a message would be taken as: the same as inbound mail takes it, told in words."""

from io import BytesIO

import pytest

from services.tracker import classify
from tests.corpus import collection

SIGNALS = {
    "hard": "bounced", "soft": "bounced", "delayed": "delayed", "delivered": "delivered", "auto-reply": "auto_replied",
    "complaint": "complained", "read": "read", "reply": "replied", "nothing": None,
}  # fmt: skip
ENTRIES = collection.entries("own")
MESSAGES = collection.messages("own")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.file)
def test_a_message_is_the_signal_its_label_names(entry: collection.Entry) -> None:
    made = classify.classify(entry.file, MESSAGES[entry.file])
    wanted = [one.class_ for one in entry.expected]
    assert made.signal in {SIGNALS[one] for one in wanted}
    assert {one.class_ for one in made.findings} <= {*wanted, "relayed", "expanded"}
    named = {one.recipient for one in entry.expected if one.recipient}
    assert {one.lower() for one in named} <= {one.lower() for one in made.recipients}


def test_of_several_recipients_the_worst_speaks() -> None:
    made = classify.classify("two", MESSAGES["postfix-two-fates.eml"])
    kinds = [one.class_ for one in made.findings]
    assert made.class_ == kinds[0]
    assert len(set(kinds)) > 1


@pytest.mark.parametrize(
    "mark", ["Precedence: bulk", "List-Id: <news.x.example>", "From: no-reply@x.example"]
)
def test_what_a_machine_sends_of_itself_is_no_answer(mark: str) -> None:
    made = classify.classify("news", f"{mark}\nSubject: Our offers\n\nBuy.\n".encode())
    assert (made.kind, made.signal, made.auto) == ("other", None, True)
    answer = classify.classify("answer", f"{mark}\nSubject: Re: Hello\n\nI am away.\n".encode())
    assert (answer.signal, answer.auto) == ("auto_replied", True)


def test_messages_come_each_behind_a_line_that_says_how_long_it_is() -> None:
    source = BytesIO(b'{"file": "a", "size": 3}\nx\ny{"file": "b", "size": 0}\n')
    assert list(classify.messages(source)) == [("a", b"x\ny"), ("b", b"")]
