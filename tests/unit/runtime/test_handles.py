import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.runtime import handles, keyring
from shared.runtime.tokens import Tokens

EMAIL = "019abc12-7d00-7000-8000-00000000abcd"


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keyring"
    keyring.create(path)
    return path


@pytest.fixture(scope="module")
def tokens(ring: Path) -> Tokens:
    return Tokens(keyring.load(ring))


def test_a_return_path_fits_a_local_part_and_names_its_email(tokens: Tokens) -> None:
    path = handles.return_path(tokens, "acme", EMAIL, "bounces.shop.test", "hello@shop.test")
    local, _, domain = path.partition("@")
    assert len(local) <= 64
    assert domain == "bounces.shop.test"
    found = handles.of_address(tokens, path)
    assert found is not None
    assert found.email_id == EMAIL
    assert found.workspace(["other", "acme"]) == ["acme"]


def test_a_return_path_survives_a_server_that_changes_letters(tokens: Tokens) -> None:
    path = handles.return_path(tokens, "acme", EMAIL, "bounces.shop.test", "hello@shop.test")
    assert handles.of_address(tokens, path.upper()) == handles.of_address(tokens, path) is not None


def test_an_account_without_a_domain_of_its_own_uses_its_address_with_a_plus(tokens: Tokens) -> None:
    path = handles.return_path(tokens, "acme", EMAIL, None, "hello@shop.test")
    assert path.startswith("hello+")
    assert len(path.partition("@")[0]) <= 64
    found = handles.of_address(tokens, path)
    assert found is not None
    assert found.email_id == EMAIL


def test_an_own_address_too_long_for_a_token_stays_as_it_is(tokens: Tokens) -> None:
    own = "a.very.long.local.part@shop.test"
    assert handles.return_path(tokens, "acme", EMAIL, None, own) == own


def test_a_key_whose_name_is_too_long_for_a_local_part_leaves_the_sender_as_it_is() -> None:
    ring = keyring.Keyring(keyring._File(current="spring", keys={"spring": b"k" * 32}))
    named, own = Tokens(ring), "a.very.long.local.part@shop.test"
    assert not handles.fit(named)
    assert handles.return_path(named, "acme", EMAIL, "bounces.shop.test", own) == own
    short = handles.return_path(named, "acme", EMAIL, "bounces.shop.test", "me@shop.test")
    assert short.startswith("me+")
    assert len(short.rpartition("@")[0]) <= 64
    assert handles.unsubscribe_address(named, "acme", EMAIL, "bounces.shop.test") is None


def test_an_envelope_id_names_its_email(tokens: Tokens) -> None:
    found = handles.of_token(tokens, handles.envid(tokens, "acme", EMAIL))
    assert found is not None
    assert found.email_id == EMAIL


def test_a_message_id_names_workspace_and_email_and_its_domain_is_ascii(tokens: Tokens) -> None:
    made = handles.message_id(tokens, "acme", EMAIL, "münchen.de")
    assert made.endswith("@xn--mnchen-3ya.de>")
    found = handles.of_message_id(tokens, made)
    assert found is not None
    assert (found.workspace, found.email_id) == ("acme", EMAIL)


def test_a_message_id_is_the_same_every_time(tokens: Tokens) -> None:
    assert handles.message_id(tokens, "acme", EMAIL, "a.test") == handles.message_id(
        tokens, "acme", EMAIL, "A.test"
    )


@given(st.text(max_size=120))
def test_what_was_not_signed_is_nothing(tokens: Tokens, text: str) -> None:
    assert handles.of_address(tokens, f"bounce+{text}@shop.test") is None
    assert handles.of_token(tokens, text) is None
    assert handles.of_message_id(tokens, f"<{text}@shop.test>") is None


@given(st.integers(0, 55), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_a_handle_changed_in_one_letter_is_nothing(tokens: Tokens, place: int, letter: str) -> None:
    path = handles.return_path(tokens, "acme", EMAIL, "b.test", "x@y.test")
    local, _, domain = path.removeprefix("bounce+").partition("@")
    changed = f"bounce+{local[:place]}{letter}{local[place + 1 :]}@{domain}"
    assert (handles.of_address(tokens, changed) is not None) == (changed == path)


def test_another_installations_handles_are_nothing(tokens: Tokens, tmp_path: Path) -> None:
    keyring.create(tmp_path / "other")
    other = Tokens(keyring.load(tmp_path / "other"))
    assert handles.of_address(other, handles.return_path(tokens, "acme", EMAIL, "b.test", "x@y")) is None
    assert (
        handles.of_message_id(other, handles.message_id(tokens, "acme", str(uuid.uuid4()), "b.test")) is None
    )


def test_handles_outlive_a_rotation_of_the_keys(tokens: Tokens, ring: Path) -> None:
    path = handles.return_path(tokens, "acme", EMAIL, "b.test", "x@y.test")
    keyring.rotate(ring)
    assert handles.of_address(Tokens(keyring.load(ring)), path) is not None
