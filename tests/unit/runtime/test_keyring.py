"""The keyring file: rotation loses no key, and nobody but its owner and a reading group may touch it."""

import json
from pathlib import Path

import pytest

from shared.runtime import keyring


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A keyring with one key."""
    keyring.create(tmp_path / "keyring")
    return tmp_path / "keyring"


def test_rotating_after_an_old_key_was_dropped_overwrites_none(place: Path) -> None:
    assert keyring.rotate(place) == "k2"
    sealed = keyring.load(place).seal("s3cret", "default", "a")
    content = json.loads(place.read_bytes())
    del content["keys"]["k1"]
    place.write_text(json.dumps(content))
    assert keyring.rotate(place) == "k3"
    assert keyring.load(place).open(sealed, "default", "a") == "s3cret"


def test_rotating_a_keyring_with_ids_of_its_owners_choice_keeps_them_all(place: Path) -> None:
    key = json.loads(place.read_bytes())["keys"]["k1"]
    place.write_text(json.dumps({"current": "mine", "keys": {"mine": key, "k7": key, "k": key}}))
    assert keyring.rotate(place) == "k8"
    assert set(json.loads(place.read_bytes())["keys"]) == {"mine", "k7", "k", "k8"}


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o440])
def test_a_keyring_that_its_owner_or_a_group_reads_is_loaded(place: Path, mode: int) -> None:
    place.chmod(mode)
    keyring.load(place)


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602, 0o601, 0o620, 0o660, 0o610])
def test_a_keyring_that_is_open_to_others_is_refused_with_the_mode_it_has(place: Path, mode: int) -> None:
    place.chmod(mode)
    with pytest.raises(keyring.KeyringError, match=f"has mode {mode:o}.*chmod 600"):
        keyring.load(place)
