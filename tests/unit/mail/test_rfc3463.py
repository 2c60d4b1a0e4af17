import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mail import rfc3463

_PHASES = ("resolve", "connect", "banner", "ehlo", "tls", "auth", "mail", "rcpt", "data", "body", "final")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("5.1.1 unknown", "5.1.1"),
        ("550 5.1.1 unknown", "5.1.1"),
        ("550-5.7.26 This mail", "5.7.26"),
        ("4.7.0", "4.7.0"),
        ("unknown user", None),
        ("see 5.1.1", None),
        ("5.1.1.1 is an address", None),
        ("6.1.1 is no class", None),
        ("5.1234.1 too long", None),
        ("", None),
    ],
)
def test_the_enhanced_code_opens_the_text_or_is_none(text: str, code: str | None) -> None:
    assert rfc3463.enhanced_code(text) == code


@pytest.mark.parametrize(
    ("code", "text", "phase", "category", "retryable"),
    [
        (
            550,
            "5.1.1 <ghost@world.test> User doesn't exist: ghost@world.test",
            "rcpt",
            "invalid_recipient",
            False,
        ),
        (550, "5.1.1 <no-spam@x.test>: nobody", "rcpt", "invalid_recipient", False),
        (550, "No such user here", "rcpt", "invalid_recipient", False),
        (550, "5.7.1 user unknown", "rcpt", "invalid_recipient", False),
        (550, "5.1.10 null MX", "rcpt", "invalid_recipient", False),
        (551, "", "rcpt", "invalid_recipient", False),
        (450, "4.1.1 unverified address", "rcpt", "invalid_recipient", True),
        (550, "no", "rcpt", "unknown", False),
        (552, "5.2.2 Quota exceeded (mailbox for user is full)", "rcpt", "mailbox_full", False),
        (552, "5.2.2", "final", "mailbox_full", False),
        (552, "5.3.4 too big", "rcpt", "message_too_large", False),
        (552, "message exceeds fixed limit", "final", "message_too_large", False),
        (552, "mailbox full", "final", "mailbox_full", False),
        (552, "", "rcpt", "mailbox_full", False),
        (552, "", "mail", "message_too_large", False),
        (452, "4.2.2 over quota", "rcpt", "mailbox_full", True),
        (452, "4.3.1 insufficient storage", "final", "server_busy", True),
        (452, "4.5.3 too many recipients", "rcpt", "rate_limited", True),
        (450, "4.2.0 Greylisted, try again in 300 seconds", "rcpt", "greylisted", True),
        (451, "4.7.1 Greylisting in action, please come back in 00:04:59", "rcpt", "greylisted", True),
        (450, "4.2.1 The user is receiving mail too quickly", "rcpt", "rate_limited", True),
        (421, "4.7.28 rate limit", "mail", "rate_limited", True),
        (421, "4.7.0 Too many connections", "banner", "rate_limited", True),
        (421, "4.3.2 closing channel", "mail", "server_busy", True),
        (454, "4.7.0 TLS not available due to temporary reason", "tls", "tls", True),
        (530, "5.7.0 Must issue a STARTTLS command first", "mail", "tls", True),
        (530, "5.7.0 Authentication required", "mail", "authentication", True),
        (535, "5.7.8 bad credentials", "auth", "authentication", True),
        (454, "4.7.0 Temporary authentication failure", "auth", "authentication", True),
        (501, "nonsense", "auth", "authentication", True),
        (
            553,
            "5.7.1 <x@y.test>: Sender address rejected: not owned by user z",
            "rcpt",
            "sender_refused",
            False,
        ),
        (550, "", "mail", "sender_refused", False),
        (554, "5.7.1 policy", "mail", "sender_refused", False),
        (554, "5.7.1 Message rejected as spam", "final", "spam", False),
        (550, "5.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org", "rcpt", "spam", False),
        (550, "5.7.26 This mail is unauthenticated", "final", "policy", False),
        (554, "5.7.1 Relay access denied", "rcpt", "policy", False),
        (554, "", "final", "policy", False),
        (550, "5.6.7 SMTPUTF8 required", "rcpt", "content", False),
        (554, "5.6.0 malformed", "final", "content", False),
        (550, "5.4.1 Access denied", "rcpt", "policy", False),
        (451, "4.4.1 connection timed out", "final", "network", True),
        (554, "No SMTP service here", "banner", "policy", True),
        (0, "connection refused", "connect", "network", True),
        (0, "certificate expired", "tls", "tls", True),
        (502, "5.5.2 unknown command", "data", "protocol", False),
    ],
)
def test_a_reply_is_classified(code: int, text: str, phase: str, category: str, retryable: bool) -> None:
    found = rfc3463.classify(code, None, text, phase)
    assert (found.category, found.retryable) == (category, retryable)
    assert found.suggested_action
    assert rfc3463.classify(code, rfc3463.enhanced_code(text), text, phase.upper()) == found


@settings(max_examples=500, deadline=None)
@given(
    st.integers(400, 599),
    st.from_regex(r"([245]\.[0-7]\.[0-9]{1,2})?", fullmatch=True),
    st.sampled_from(["", "user unknown", "mailbox full", "spam", "greylisted", "policy"])
    | st.text(max_size=60),
    st.sampled_from(_PHASES),
)
def test_no_reply_breaks_these_rules(code: int, enhanced: str, text: str, phase: str) -> None:
    found = rfc3463.classify(code, enhanced or None, text, phase)
    if code < 500:
        assert found.retryable, "4xx is never final"
    if phase not in ("rcpt", "data", "body", "final"):
        assert found.category not in ("invalid_recipient", "mailbox_full"), "no recipient was named yet"
    if code >= 500 and phase in ("auth", "mail") and found.category not in ("message_too_large", "content"):
        assert found.is_accounts_fault
    if phase in ("rcpt", "data", "body", "final") and code >= 500 and found.category != "authentication":
        assert not found.retryable


def test_a_message_is_one_short_line_whatever_the_server_says() -> None:
    found = rfc3463.classify(550, None, "5.1.1 a\r\n b\n" + "x" * 100_000, "rcpt")
    assert found.message.startswith("5.1.1 a b xxx")
    assert len(found.message) <= 500
