"""Where a mailbox is gone on with, and who may have it."""

from datetime import UTC, datetime

from services.tracker import imap_places
from services.tracker.imap import Seen
from services.tracker.imap_places import LEASE, MARGIN, Place

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
KNOWN = Place(origin="u@h/INBOX", validity=5, uid=40, newest=NOW)


def test_at_first_sight_everything_there_is_older_than_the_link() -> None:
    place = imap_places.begun(Place(holder="me"), "u@h/INBOX", Seen(5, 41), NOW)
    assert place == Place(origin="u@h/INBOX", validity=5, uid=40, newest=NOW, holder="me")


def test_a_known_mailbox_is_gone_on_with() -> None:
    assert imap_places.begun(KNOWN, "u@h/INBOX", Seen(5, 41), NOW) is KNOWN
    assert imap_places.begun(KNOWN, "u@h/INBOX", Seen(5, 900), NOW) is KNOWN


def test_a_mailbox_numbered_anew_is_read_from_its_beginning_but_for_what_is_old() -> None:
    for seen in (Seen(6, 41), Seen(5, 40), Seen(6, 1)):
        place = imap_places.begun(KNOWN, "u@h/INBOX", seen, NOW)
        assert (place.validity, place.uid, place.since) == (seen.validity, 0, NOW - MARGIN)


def test_an_empty_mailbox_is_not_numbered_anew_again_and_again() -> None:
    once = imap_places.begun(KNOWN, "u@h/INBOX", Seen(6, 1), NOW)
    assert imap_places.begun(once, "u@h/INBOX", Seen(6, 1), NOW) is once


def test_another_mailbox_is_seen_for_the_first_time() -> None:
    place = imap_places.begun(KNOWN, "u@h/Bounces", Seen(5, 7), NOW)
    assert (place.origin, place.uid, place.since) == ("u@h/Bounces", 6, None)


def test_a_mailbox_is_free_when_nobody_holds_it_any_more() -> None:
    held = Place(holder="other", until=100.0)
    assert not imap_places.is_free(held, "me", 99.0)
    assert imap_places.is_free(held, "other", 99.0)
    assert imap_places.is_free(held, "me", 100.0)
    assert imap_places.is_free(Place(), "me", 0.0)


def test_a_hold_from_a_clock_that_has_jumped_is_over() -> None:
    assert imap_places.is_free(Place(holder="other", until=1e9), "me", 1e9 - 3 * LEASE)
