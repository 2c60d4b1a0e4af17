import time

import pytest

from services.gateway.emails import effort, fields
from tests.unit.gateway.emails.requests import GOOD, accepted, check, check_value, paths


def test_a_minimal_request_is_accepted_as_it_stands() -> None:
    made = accepted()
    assert [one.address for one in made.to] == ["ann@world.test"]
    assert (made.subject, made.text, made.html) == ("Welcome", "Hello.", None)


def test_every_problem_of_a_request_is_listed_with_its_path() -> None:
    _, problems, _ = check_value(
        {
            "to": ["ann@world.test", "no address", 7],
            "cc": 5,
            "subject": "a\nb",
            "html": ["x"],
            "nonsense": True,
            "headers": {"X-A": 5, "Received": "x", "Bad Name": "y", "X-B": "a\r\nBcc: eve@world.test"},
            "tags": ["t" * 65, "", 3],
            "metadata": {"k": 1},
            "tracking": {"opens": "yes", "smell": True},
            "scheduled_at": "2030-01-01T00:00:00",
            "expires_at": 12,
            "smtp_account_id": "mine",
            "from": "x",
            "from_name": "a\u2028b",
            "reply_to": ["ok@world.test", "@"],
        }
    )
    assert set(paths(problems)) >= {
        "$.to[2]",
        "$.cc",
        "$.subject",
        "$.html",
        "$.nonsense",
        '$.headers["X-A"]',
        "$.tags[2]",
        "$.metadata.k",
        "$.tracking.opens",
        "$.tracking.smell",
        "$.scheduled_at",
        "$.expires_at",
        "$.smtp_account_id",
        "$.from",
        "$.from_name",
        "$.reply_to[1]",
    }


def test_problems_of_content_are_listed_beside_one_another() -> None:
    _, problems, _ = check(
        to=["ann@world.test", "no address", "@"],
        headers={"X-A": "fine", "Received": "x", "Bad Name": "y", "X-B": "a\r\nb"},
        tags=["t" * 65, ""],
        text=...,
    )
    assert paths(problems) == [
        "$.html",
        "$.to[1]",
        "$.to[2]",
        '$.headers["Received"]',
        '$.headers["Bad Name"]',
        '$.headers["X-B"]',
        "$.tags[0]",
        "$.tags[1]",
    ]


def test_what_is_required_is_asked_for_once() -> None:
    _, problems, _ = check_value({})
    assert paths(problems) == ["$.subject", "$.html", "$.to"]
    _, problems, _ = check(to=5, subject=5, text=5)
    assert paths(problems) == ["$.to", "$.subject", "$.text"]


@pytest.mark.parametrize("value", [[], "x", 5, None])
def test_a_body_that_is_no_object_is_one_problem_and_its_missing_fields(value: object) -> None:
    _, problems, _ = check_value(value)
    assert paths(problems)[0] == "$"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("template_id", 5, "must be a string"),
        ("template_version", 0, "must be a whole number, 1 or more"),
        ("template_version", "2", "must be a whole number, 1 or more"),
        ("template_version", 2, "needs a template_id beside it"),
    ],
)
def test_a_template_is_named_by_a_string_and_a_version_beside_it(
    field: str, value: object, message: str
) -> None:
    _, problems, _ = check(**{field: value})
    assert [(one.path, one.message) for one in problems] == [(f"$.{field}", message)]


@pytest.mark.parametrize("value", ["yes", 1, [], {}])
def test_unsubscribe_is_true_or_false(value: object) -> None:
    _, problems, _ = check(unsubscribe=value)
    assert [(one.path, one.message) for one in problems] == [("$.unsubscribe", "must be true or false")]
    assert accepted(unsubscribe=True).unsubscribe
    assert not accepted(unsubscribe=False).unsubscribe


def test_null_counts_as_absent() -> None:
    optional = {
        "cc",
        "bcc",
        "html",
        "from",
        "from_name",
        "reply_to",
        "headers",
        "attachments",
        "variables",
    } | {
        "template_id",
        "scheduled_at",
        "expires_at",
        "smtp_account_id",
        "tracking",
        "tags",
        "metadata",
        "unsubscribe",
    }
    assert accepted(**dict.fromkeys(optional)) == accepted()


def test_a_recipient_given_twice_gets_one_copy_and_to_wins_over_cc_over_bcc() -> None:
    made = accepted(
        to=["Ann <ann@world.test>", "ANN@World.Test", "bob@world.test"],
        cc=["bob@WORLD.test", "cid@world.test"],
        bcc=["cid@world.test", "ann@world.test", "dan@world.test"],
    )
    assert [one.address for one in made.to] == ["ann@world.test", "bob@world.test"]
    assert [one.address for one in made.cc] == ["cid@world.test"]
    assert [one.address for one in made.bcc] == ["dan@world.test"]
    assert made.to[0].name == "Ann"


def test_fifty_recipients_pass_and_fifty_one_do_not() -> None:
    fifty = [f"user{n}@world.test" for n in range(50)]
    accepted(to=fifty[:20], cc=fifty[20:40], bcc=fifty[40:])
    accepted(to=[*fifty, "USER1@world.test"])
    _, problems, _ = check(to=fifty, bcc=["one.more@world.test"])
    assert paths(problems) == ["$.to"]
    assert "50" in problems[0].message


@pytest.mark.parametrize("value", [[], ""])
def test_no_recipient_at_all_is_refused(value: object) -> None:
    _, problems, _ = check(to=value)
    assert paths(problems) == ["$.to"]


@pytest.mark.parametrize("value", ["ann@world.test, bob@world.test", "ann", "<>", "a b@world.test", "ann@"])
def test_what_is_not_one_address_is_refused(value: str) -> None:
    for field in ("to", "cc", "bcc", "reply_to", "from"):
        assert paths(check(**{field: value})[1]) == [f"$.{field}"]


@pytest.mark.parametrize(("length", "good"), [(998, True), (999, False)])
def test_a_subject_has_at_most_998_characters(length: int, good: bool) -> None:
    _, problems, _ = check(subject="ü" * length)
    assert (not problems) is good


def test_ten_tags_of_64_characters_pass_and_more_do_not() -> None:
    assert accepted(tags=["a" * 64, "b", "b"]).tags == ("a" * 64, "b")
    accepted(tags=[str(n) for n in range(10)])
    assert paths(check(tags=[str(n) for n in range(11)])[1]) == ["$.tags"]


def test_metadata_is_bounded_in_its_names_and_values() -> None:
    accepted(metadata={"k" * 255: "v" * 1024, "empty": ""})
    wrong = {"": "v", "k" * 256: "v", "long": "v" * 1025}
    assert paths(check(metadata=wrong)[1]) == [
        '$.metadata[""]', f'$.metadata["{"k" * 80}"]', '$.metadata["long"]',
    ]  # fmt: skip


def test_fifty_pairs_of_metadata_pass_and_more_do_not() -> None:
    accepted(metadata={str(n): "x" for n in range(50)})
    assert paths(check(metadata={str(n): "x" for n in range(51)})[1]) == ["$.metadata"]


def test_no_field_is_known_by_a_python_name() -> None:
    assert paths(check(from_="ann@world.test")[1]) == ["$.from_"]


def test_a_good_request_stays_good_with_every_field_set() -> None:
    made = accepted(
        **GOOD
        | {
            "cc": "Bob <bob@world.test>",
            "bcc": ["cid@world.test"],
            "html": "<p>Hello</p>",
            "from": "hello@sendlog.test",
            "from_name": "Sendlog",
            "reply_to": ["help@sendlog.test"],
            "headers": {"X-Campaign": "spring", "In-Reply-To": "<a@b>"},
            "scheduled_at": "2030-01-01T02:00:00+02:00",
            "expires_at": "2030-01-02T00:00:00Z",
            "smtp_account_id": "0E6A3A52-0000-4000-8000-000000000001",
            "tracking": {"opens": False},
            "tags": ["a"],
            "metadata": {"order": "7"},
        }
    )
    assert made.scheduled_at is not None
    assert made.scheduled_at.isoformat() == "2030-01-01T00:00:00+00:00"
    assert made.account_id == "0e6a3a52-0000-4000-8000-000000000001"
    assert made.headers == (("X-Campaign", "spring"), ("In-Reply-To", "<a@b>"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"attachments": [{"x": 1}] * 50_000},
        {"tags": [""] * 100_000},
        {"tags": [7] * 100_000},
        {"to": [f"ünwahr{n}@wörld.test" for n in range(20_000)]},
        {"reply_to": ["ann@world.test"] * 51},
        {"headers": {f"X-{n}": "v" for n in range(101)}},
        {"headers": {f"X-{n}": "v" * 8000 for n in range(9)}},
        {"metadata": {str(n): "" for n in range(50_000)}},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_too_many_of_something_is_one_problem_told_at_once(wrong: dict[str, object]) -> None:
    began = time.process_time()
    _, problems, _ = check(**wrong)
    assert time.process_time() - began < 0.3
    [name] = wrong
    assert {path for path in paths(problems) if path != "$.to"} <= {f"$.{name}"}
    assert sum("at most" in problem.message for problem in problems) == 1
    assert len(problems) <= 2


@pytest.mark.parametrize(
    "wrong", [{f"f{n}": 1 for n in range(70_000)}, {"headers": {f"X-{n}": 1 for n in range(70_000)}}]
)
def test_of_many_wrong_members_some_are_told_and_the_number_of_the_others(wrong: dict[str, object]) -> None:
    began = time.process_time()
    _, problems, _ = check(**wrong)
    assert time.process_time() - began < 1
    assert len(problems) == 101
    assert problems[-1].message == "and 69900 problems more"


def test_an_email_with_many_addresses_is_checked_in_a_thread() -> None:
    assert effort.is_large(fields.Send(to=["a@world.test"] * 11))
    assert effort.is_large(fields.Send(to="a@world.test", headers={f"X-{n}": "v" for n in range(11)}))
    assert not effort.is_large(fields.Send(to=["a@world.test"] * 5, cc=["b@world.test"] * 5))
