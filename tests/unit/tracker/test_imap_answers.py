"""What FETCH answers is read in whatever order servers say it, and nothing else is taken for a message."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.tracker import imap_answers, imap_reading
from services.tracker.imap_answers import Item

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_messages_are_listed_with_size_and_arrival_in_any_order() -> None:
    answer: imap_answers.Answer = [
        b'2 (RFC822.SIZE 20 INTERNALDATE "24-Nov-2026 10:00:00 +0100" UID 9)',
        b'1 (UID 7 RFC822.SIZE 10 INTERNALDATE " 4-Nov-2026 10:00:00 +0000")',
    ]
    assert imap_answers.listed(answer, NOW) == [
        Item(7, 10, datetime(2026, 11, 4, 10, tzinfo=UTC)),
        Item(9, 20, datetime(2026, 11, 24, 9, tzinfo=UTC)),
    ]


def test_what_is_no_message_that_was_asked_for_is_left_out() -> None:
    answer: imap_answers.Answer = [
        None,
        b"1 (FLAGS (\\Seen))",
        b"2 (UID 8 FLAGS ())",
        b"3 (UID 9 RFC822.SIZE 5)",
    ]
    assert imap_answers.listed(answer, NOW) == [Item(9, 5, NOW)]


def test_a_message_never_arrives_later_than_now() -> None:
    answer: imap_answers.Answer = [b'1 (UID 7 RFC822.SIZE 10 INTERNALDATE "25-Nov-2026 10:00:00 +0000")']
    assert imap_answers.listed(answer, NOW)[0].at == NOW


def test_a_clock_that_is_a_month_behind_is_no_evidence() -> None:
    assert imap_answers.believed(NOW - timedelta(days=31), NOW) == NOW
    assert imap_answers.believed(NOW - timedelta(days=3), NOW) == NOW - timedelta(days=3)


def test_bodies_are_found_by_the_uid_before_or_behind_them() -> None:
    answer: imap_answers.Answer = [
        (b"1 (UID 7 BODY[] {3}", b"one"), b")",
        b"4 (FLAGS (\\Seen) UID 99)",
        (b"2 (BODY[]<0> {3}", b"two"), b" UID 8)",
        (b"3 (BODY[] {5}", b"three"), b")",
    ]  # fmt: skip
    assert imap_answers.bodies(answer) == {7: b"one", 8: b"two"}


def test_a_uid_within_a_message_is_not_its_number() -> None:
    answer: imap_answers.Answer = [(b"1 (UID 7 BODY[] {9}", b"UID 8 ..."), b")"]
    assert imap_answers.bodies(answer) == {7: b"UID 8 ..."}


part = st.one_of(
    st.none(),
    st.binary(max_size=60),
    st.tuples(st.binary(max_size=40), st.binary(max_size=20)),
    st.sampled_from([b"1 (UID 3 ", b"RFC822.SIZE 3", b'INTERNALDATE "99-Xxx-2026 10:00:00 +9999"', b")"]),
    st.builds(
        lambda text: b'1 (UID 1 RFC822.SIZE 1 INTERNALDATE "' + text.encode() + b'")', st.text(max_size=30)
    ),
)


@given(st.lists(part, max_size=12))
def test_nothing_a_server_says_raises(answer: list[bytes | tuple[bytes, bytes] | None]) -> None:
    imap_answers.listed(answer, NOW)
    imap_answers.bodies(answer)


@given(st.lists(st.integers(0, 4 * 1024 * 1024), max_size=200))
def test_a_batch_fits_into_memory_unless_one_message_does_not(sizes: list[int]) -> None:
    items = [Item(number, size, NOW) for number, size in enumerate(sizes)]
    found = list(imap_reading.batches(items))
    assert [item for batch in found for item in batch] == items
    for batch in found:
        assert len(batch) <= imap_reading.BATCH
        assert len(batch) == 1 or sum(item.size for item in batch) <= imap_reading.BATCH_BYTES
