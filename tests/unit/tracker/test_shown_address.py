import pytest

from services.tracker.privacy import Privacy, shown_address


@pytest.mark.parametrize(
    ("address", "privacy", "expected"),
    [
        ("192.0.2.77", "full", "192.0.2.77"),
        ("192.0.2.77", "anonymised", "192.0.2.0"),
        ("192.0.2.77", "none", None),
        ("2001:db8:1:2::77", "full", "2001:db8:1:2::77"),
        ("2001:db8:1:2::77", "anonymised", "2001:db8:1::"),
        ("junk", "full", None),
        ("", "full", None),
    ],
)
def test_an_address_is_kept_as_far_as_the_operator_wants(
    address: str, privacy: Privacy, expected: str | None
) -> None:
    assert shown_address(address, privacy) == expected
