from shared.mail import message_id


def test_an_email_has_one_message_id_however_often_it_is_asked() -> None:
    assert message_id.make("0192f0c1-7b2a", "example.com") == "<0192f0c1-7b2a@example.com>"
    assert message_id.make("0192f0c1-7b2a", "Example.com") == message_id.make("0192f0c1-7b2a", "example.com")


def test_an_international_domain_stands_in_it_as_a_labels() -> None:
    assert message_id.make("1", "münchen.de") == "<1@xn--mnchen-3ya.de>"
