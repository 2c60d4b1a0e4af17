"""Signed tokens: nothing is believed that was not signed here, for this purpose, with a key of the keyring."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.runtime import keyring, tokens
from shared.runtime.keyring import Keyring
from shared.runtime.tokens import Alphabet, Pointer, Purpose, Tokens

EMAIL = "018f0000-0000-7000-8000-000000000001"
ALPHABETS: tuple[Alphabet, ...] = get_args(Alphabet)
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)


def ring(tmp_path: Path) -> Keyring:
    keyring.create(tmp_path / "keyring")
    return keyring.load(tmp_path / "keyring")


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Tokens:
    return Tokens(ring(tmp_path_factory.mktemp("ring")))


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_a_token_gives_back_what_was_signed(signer: Tokens, alphabet: Alphabet) -> None:
    for payload in (b"", b"\x00", b"a target", bytes(range(256))):
        assert signer.verify("click", signer.sign("click", payload, alphabet), alphabet) == payload


def test_a_token_for_one_purpose_opens_no_other(signer: Tokens) -> None:
    for one in PURPOSES:
        for other in PURPOSES:
            opened = signer.verify(other, signer.sign(one, b"payload"))
            assert opened == (b"payload" if one == other else None)


@given(head=st.binary(max_size=60), tails=st.lists(st.binary(max_size=200), max_size=5))
def test_tokens_signed_together_are_those_signed_one_by_one(
    signer: Tokens, head: bytes, tails: list[bytes]
) -> None:
    one_by_one = [signer.sign("click", head + tail, key_id="k1") for tail in tails]
    assert signer.sign_all("click", head, tails, "k1") == one_by_one


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_a_token_with_any_character_changed_is_refused(signer: Tokens, alphabet: Alphabet) -> None:
    token = signer.sign("unsubscribe", b"payload", alphabet)
    for place, character in enumerate(token):
        for other in "aA7_":
            if other.lower() != character.lower() or (other != character and alphabet == "url"):
                assert (
                    signer.verify("unsubscribe", token[:place] + other + token[place + 1 :], alphabet) is None
                )
    assert signer.verify("unsubscribe", token[:-1], alphabet) is None
    assert signer.verify("unsubscribe", token + "a", alphabet) is None


def test_a_token_in_an_address_survives_a_server_that_changes_its_case(signer: Tokens) -> None:
    token = signer.sign("return-path", Pointer("", EMAIL, 3).encoded(), "local-part")
    assert re.fullmatch("[a-z2-7]+", token)
    assert len("b-" + token) <= 64, "RFC 5321 4.5.3.1.1: longer local parts are refused"
    opened = signer.verify("return-path", token.upper(), "local-part")
    assert opened is not None
    assert tokens.pointer(opened) == Pointer("", EMAIL, 3)


def test_a_token_in_a_link_is_short_and_needs_no_escaping(signer: Tokens) -> None:
    token = signer.sign("unsubscribe", Pointer("default", EMAIL, 0).encoded())
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,60}", token)


@given(garbage=st.one_of(st.text(), st.binary().map(lambda raw: raw.hex()), st.from_regex(r"[A-Za-z0-9_-]+")))
def test_garbage_is_no_token_and_raises_nothing(signer: Tokens, garbage: str) -> None:
    for alphabet in ALPHABETS:
        assert signer.verify("open", garbage, alphabet) is None


def test_a_token_of_absurd_length_is_refused_unread(signer: Tokens) -> None:
    assert signer.verify("open", "A" * 10_000_000) is None


def test_a_rotation_breaks_no_link_and_a_dropped_key_breaks_its_own(tmp_path: Path) -> None:
    old = Tokens(ring(tmp_path)).sign("unsubscribe", b"old")
    keyring.rotate(tmp_path / "keyring")
    after = Tokens(keyring.load(tmp_path / "keyring"))
    new = after.sign("unsubscribe", b"new")
    assert (after.verify("unsubscribe", old), after.verify("unsubscribe", new)) == (b"old", b"new")
    content = json.loads((tmp_path / "keyring").read_bytes())
    del content["keys"]["k1"]
    (tmp_path / "keyring").write_text(json.dumps(content))
    dropped = Tokens(keyring.load(tmp_path / "keyring"))
    assert (dropped.verify("unsubscribe", old), dropped.verify("unsubscribe", new)) == (None, b"new")


def test_another_keyring_signs_nothing_for_this_one(signer: Tokens, tmp_path: Path) -> None:
    assert signer.verify("open", Tokens(ring(tmp_path)).sign("open", b"payload")) is None


@pytest.mark.parametrize("key_id", ["k1", "k255", "k256", "k01", "mine", "a" * 64])
def test_keys_may_have_ids_of_their_owners_choice(tmp_path: Path, key_id: str) -> None:
    ring(tmp_path)
    key = json.loads((tmp_path / "keyring").read_bytes())["keys"]["k1"]
    (tmp_path / "keyring").write_text(json.dumps({"current": key_id, "keys": {key_id: key}}))
    signer = Tokens(keyring.load(tmp_path / "keyring"))
    assert signer.verify("click", signer.sign("click", b"x")) == b"x"


@given(
    workspace=st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True),
    email_id=st.uuids().map(str),
    place=st.none() | st.integers(0, 49),
    extra=st.binary(max_size=100),
)
def test_a_pointer_comes_back_as_it_was(
    workspace: str, email_id: str, place: int | None, extra: bytes
) -> None:
    there = Pointer(workspace, email_id, place, extra)
    assert tokens.pointer(there.encoded()) == there


@given(st.binary())
def test_a_payload_that_is_no_pointer_raises_nothing(payload: bytes) -> None:
    found = tokens.pointer(payload)
    assert found is None or found.encoded()[18:] == payload[18:]
