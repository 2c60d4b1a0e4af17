"""An email as accepted: its body packed and unpacked, its recipients each once."""

import os
import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events import email
from shared.mail.address import Mailbox
from tests.controls.emails import an_email

_characters = st.characters(exclude_categories=["Cs"])
_text = (
    st.none() | st.text(_characters, max_size=300) | st.text(_characters, min_size=1).map(lambda t: t * 3000)
)


@given(_text, _text)
def test_whatever_is_packed_is_unpacked_word_for_word(html: str | None, text: str | None) -> None:
    content = email.Content(html=html, text=text)
    body = email.pack(content)
    assert (body.content is None) != (body.packed is None)
    assert body.key is None
    assert content == (body.content or email.unpack(body.packed or b""))
    assert body.size == len((html or "").encode()) + len((text or "").encode())


def test_a_body_is_compressed_from_4_kb_on() -> None:
    assert email.pack(email.Content(text="a" * 4095)).content is not None
    assert email.pack(email.Content(text="a" * 2048, html="b" * 2048)).packed is not None


def test_bytes_count_not_characters() -> None:
    assert email.pack(email.Content(text="é" * 2048)).packed is not None


def test_what_is_still_large_when_packed_belongs_into_the_content_store() -> None:
    noise = os.urandom(100_000).hex()
    assert email.must_be_stored(email.pack(email.Content(text=noise)))
    assert not email.must_be_stored(email.pack(email.Content(text="a" * 1_000_000)))
    assert not email.must_be_stored(email.pack(email.Content(text="small")))


def test_a_damaged_body_is_noticed() -> None:
    packed = email.pack(email.Content(text="a" * 5000)).packed or b""
    with pytest.raises(zlib.error):
        email.unpack(packed[:-5])
    with pytest.raises(msgspec.DecodeError):
        email.unpack(zlib.compress(b"[1]"))


def test_a_recipient_stands_once_in_its_first_role() -> None:
    ann, bob = Mailbox("ann@world.test"), Mailbox("bob@world.test", "Bob")
    found = an_email("ann@world.test", "ann@world.test", cc=(bob, ann), bcc=(bob,)).recipients()
    assert found == (("ann@world.test", "to"), ("bob@world.test", "cc"))


def test_an_email_without_content_is_the_same_but_for_its_body() -> None:
    whole = an_email()
    assert whole.without_content().body is None
    assert msgspec.structs.replace(whole.without_content(), body=whole.body) == whole
