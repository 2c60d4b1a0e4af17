"""What a key may become, and who may make it so."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.gateway import validation
from services.gateway.errors import ApiError
from services.gateway.keys import decisions, fields
from shared.runtime.configuration import ApiKey

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def a_key(*permissions: str) -> ApiKey:
    return ApiKey(id="k", workspace="w", name="n", permissions=permissions, created_at=NOW)


def test_a_key_cannot_make_one_that_can_more() -> None:
    wanted = fields.NewKey(name="n", permissions=["email.send", "privacy.write"])
    with pytest.raises(ApiError, match=r"privacy\.write") as refused:
        decisions.opened("id", wanted, a_key("keys.write", "email.send"), NOW)
    assert refused.value.code == "FORBIDDEN"


def test_a_new_key_belongs_to_the_workspace_of_its_maker() -> None:
    made = decisions.opened(
        "id", fields.NewKey(name="n", permissions=["email.send"]), a_key("email.send"), NOW
    )
    assert (made.workspace, made.rate_limit, made.expires_at) == ("w", 60_000, None)


def test_a_change_may_keep_what_its_maker_lacks_but_not_add_it() -> None:
    target, weak = a_key("email.send", "email.history"), a_key("keys.write")
    assert decisions.changed(target, fields.KeyChange(permissions=["email.send"]), weak).permissions == (
        "email.send",
    )
    with pytest.raises(ApiError, match=r"events\.read"):
        decisions.changed(target, fields.KeyChange(permissions=["email.send", "events.read"]), weak)


def test_null_takes_the_expiry_away_and_absence_keeps_it() -> None:
    target = decisions.changed(a_key(), fields.KeyChange(expires_at=NOW + timedelta(days=1)), a_key())
    assert decisions.changed(target, fields.KeyChange(name="x"), a_key()).expires_at == NOW + timedelta(
        days=1
    )
    assert decisions.changed(target, fields.KeyChange(expires_at=None), a_key()).expires_at is None


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"permissions": ["email.send", "nonsense"]}, "$.permissions[1]"),
        ({"permissions": ["email.send", "email.send"]}, "$.permissions[1]"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "$.expires_at"),
    ],
)
def test_what_no_key_can_have_is_refused_by_its_path(given: dict[str, Any], path: str) -> None:
    wanted = validation.convert({"name": "n", "permissions": ["email.send"]} | given, fields.NewKey)
    assert [problem.path for problem in decisions.problems(wanted, NOW)] == [path]


def a_limited_key() -> ApiKey:
    return ApiKey(
        id="l", workspace="w", name="n", permissions=("keys.write",), created_at=NOW,
        rate_limit=100, expires_at=NOW + timedelta(days=1),
    )  # fmt: skip


MORE: list[tuple[str, Any]] = [
    ("rate_limit", 101),
    ("expires_at", NOW + timedelta(days=2)),
    ("expires_at", None),
]


@pytest.mark.parametrize(("name", "value"), MORE)
def test_a_key_cannot_make_one_that_may_ask_more_or_lives_longer(name: str, value: Any) -> None:
    within: dict[str, Any] = {"rate_limit": 100, "expires_at": NOW + timedelta(days=1)}
    fine = fields.NewKey(name="n", permissions=["keys.write"], **within)
    assert decisions.opened("id", fine, a_limited_key(), NOW).rate_limit == 100
    wanted = fields.NewKey(name="n", permissions=["keys.write"], **(within | {name: value}))
    with pytest.raises(ApiError, match=name) as refused:
        decisions.opened("id", wanted, a_limited_key(), NOW)
    assert refused.value.code == "FORBIDDEN"


@pytest.mark.parametrize(("name", "value"), MORE)
def test_a_key_cannot_give_itself_more(name: str, value: Any) -> None:
    itself = a_limited_key()
    with pytest.raises(ApiError, match=name):
        decisions.changed(itself, fields.KeyChange(**{name: value}), itself)


def test_a_limited_key_may_lower_what_a_stronger_one_has() -> None:
    lowered = decisions.changed(
        a_key("email.send"),
        fields.KeyChange(rate_limit=50_000, expires_at=NOW + timedelta(days=9)),
        a_limited_key(),
    )
    assert (lowered.rate_limit, lowered.expires_at) == (50_000, NOW + timedelta(days=9))
