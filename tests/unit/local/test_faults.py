"""What a recipient's address asks the mailbox to do wrong."""

import pytest

from deploy.local.mailbox import faults


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("550+a@x.test", 550),
        ("450+a@x.test", 450),
        ("552full+a@x.test", 552),
        ("554SPAM+a@x.test", 554),
        ("421+a@x.test", 421),
    ],
)
def test_a_word_before_the_plus_refuses_the_recipient(address: str, code: int) -> None:
    refusal = faults.refusal(address)
    assert refusal is not None
    assert refusal.code == code
    assert refusal.closes == (code == 421)


@pytest.mark.parametrize(
    "address", ["550@x.test", "a+550@x.test", "5500+a@x.test", "a@550+x.test", "ok+a@x.test"]
)
def test_other_addresses_are_accepted(address: str) -> None:
    assert faults.refusal(address) is None
    assert faults.fate([address]) is faults.Fate.DELIVERED


def test_one_of_several_recipients_decides_the_fate_of_the_message() -> None:
    assert faults.fate(["a@x.test", "commitdrop+1@x.test", "slow+2@x.test"]) is faults.Fate.KEPT_THEN_DROPPED
