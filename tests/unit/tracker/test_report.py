"""Reports: recognised, about the right recipient, with the words that are about it."""

import pytest

from services.tracker import announcing, inbound, mime, paragraphs, report, returned

DAEMON = "From: MAILER-DAEMON@mx.example\nSubject: Undelivered Mail Returned to Sender\n"


def _report(text: str, head: str = DAEMON) -> report.Report | None:
    return report.recognise(mime.read(f"{head}\n{text}".encode()))


def _findings(text: str, head: str = DAEMON) -> list[tuple[str, str]]:
    found = _report(text, head)
    assert found is not None
    return [(one.original, one.verdict.kind) for one in found.findings]


class TestWhoReports:
    @pytest.mark.parametrize(
        "head",
        [
            "From: MAILER-DAEMON@mx.example\nSubject: failure notice\n", "From: postmaster@mx.example\nSubject: x\n", "From: Mail Delivery System <mds@mx.example>\nSubject: x\n",
            "From: Courier mail server at mx <@>\nSubject: NOTICE: mail delivery status.\n",
            "From: post_master@mx.example\nSubject: Re: Order\nIn-Reply-To: <a@b>\n", "From: Microsoft Outlook <MicrosoftExchange329e@x.example>\nSubject: Order\n",
        ],
    )  # fmt: skip
    def test_a_mail_system_does(self, head: str) -> None:
        assert _findings(
            "Your message could not be delivered:\n\n<a@x.example>: 550 5.1.1 no such user\n", head
        ) == [("a@x.example", "hard")]

    @pytest.mark.parametrize(
        ("text", "kind"),
        [
            ("Your message was successfully delivered to a@x.example.\n", "delivered"),
            (
                "We found a virus in your email to:\n-> a@x.example\n\nDelivery of the email was stopped!\n",
                "soft",
            ),
        ],
    )
    def test_a_mail_system_need_not_say_so_in_the_subject(self, text: str, kind: str) -> None:
        assert _findings(text, "From: postmaster@mx.example\nSubject: x\n") == [("a@x.example", kind)]
        assert _report(text, "From: kim@mx.example\nSubject: x\n") is None

    @pytest.mark.parametrize(
        "text",
        [
            "Ihre Nachricht an a@x.example wurde leider nicht erfolgreich zugestellt.", "We never got your order successfully delivered to a@x.example.",
            "You will be told when it was delivered successfully to a@x.example.",
        ],
    )  # fmt: skip
    def test_what_did_not_arrive_was_not_delivered(self, text: str) -> None:
        found = _findings(text, "From: postmaster@mx.example\nSubject: Undelivered Mail\n")
        assert [kind for _, kind in found] != ["delivered"]

    def test_a_courier_that_delivers_is_no_mail_system(self) -> None:
        head = "From: Ann's Express Delivery Service <info@courier.example>\nSubject: Your parcel\n"
        assert _report("Your parcel was delivered successfully to a@x.example.", head) is None

    @pytest.mark.parametrize(
        "head",
        [
            "From: ndr@mx.example\nSubject: Undeliverable: Order\n", "Return-Path: <>\nFrom: gate@mx.example\nSubject: notice\n",
            "From: x@mx.example\nX-Failed-Recipients: a@x.example\nSubject: x\n",
        ],
    )  # fmt: skip
    def test_what_may_be_a_mail_system_reports_but_proves_nothing(self, head: str) -> None:
        text = "Your message could not be delivered:\n\n<a@x.example>: 550 5.1.1 no such user\n"
        assert _findings(text, head) == [("a@x.example", "soft")]

    @pytest.mark.parametrize(
        "head",
        [
            "From: a@x.example\nReturn-Path: <>\nSubject: Undeliverable: Order\n", "From: a@x.example\nX-Failed-Recipients: a@x.example\nSubject: x\n",
            "From: kim@x.example\nX-Failed-Recipients: a@x.example\nSubject: Automatic reply: Order\n",
            "From: kim@x.example\nContent-Type: multipart/report; report-type=delivery-status; boundary=q\nSubject: Out of office: Order\n",
        ],
    )  # fmt: skip
    def test_whoever_answers_does_not_report_on_itself(self, head: str) -> None:
        text = "Your message could not be delivered to me:\n\n<a@x.example>: 550 5.1.1 no such user\n\n--- Original message ---\nTo: a@x.example\n"
        assert _report(text, head) is None

    @pytest.mark.parametrize(
        "head",
        [
            "From: kim@m.example\nSubject: Re: Your parcel could not be delivered\n", "From: kim@m.example\nSubject: AW: Delivery failed\n",
            "From: kim@m.example\nSubject: Delivery failed\nIn-Reply-To: <a@b>\n", "From: kim@m.example\nSubject: A question\n",
            "From: Kim <kim@bounce-club.example>\nSubject: Re: Order\nIn-Reply-To: <a@b>\n", "Return-Path: <>\nFrom: kim@m.example\nSubject: Automatic reply: Order\n",
        ],
    )  # fmt: skip
    def test_a_person_does_not(self, head: str) -> None:
        text = "It could not be delivered? The address was not found, user unknown?\n\n> <a@x.example>: 550 5.1.1 no such user\n"
        assert _report(text, head) is None

    def test_words_alone_suppress_only_when_a_mail_system_says_them(self) -> None:
        text = "Your message could not be delivered to a@x.example, user unknown.\n"
        assert _findings(text, "From: ndr@mx.example\nSubject: Undeliverable: Order\n") == [
            ("a@x.example", "soft")
        ]
        assert _findings(text) == [("a@x.example", "hard")]


class TestAboutWhom:
    def test_a_name_within_another_is_not_named(self) -> None:
        text = "could not be delivered:\n\n<joann@x.example>: 550 user unknown\n\n<ann@x.example>: 550 rejected\n"
        assert _findings(text) == [("joann@x.example", "hard"), ("ann@x.example", "soft")]

    def test_lines_of_one_transcript_are_each_ones_own(self) -> None:
        text = (
            "   ----- Transcript of session follows -----\nWhile talking to mx.x.example:\n550 <a@x.example>... User unknown\n"
            "While talking to mx.y.example:\n>>> DATA\n<<< 552 quota\n552 <b@y.example>... Quota exceeded\n\n   ----- Unsent message follows -----\nTo: a@x.example\n"
        )
        assert _findings(text) == [("a@x.example", "hard"), ("b@y.example", "soft")]

    @pytest.mark.parametrize(
        "text",
        [
            "Your message\n\n  To: list@x.example\n  Subject: x\n\ndid not reach the following recipient(s):\n\na@x.example on Tuesday\n    user unknown\n",
            "could not be delivered to a@x.example: 550 user unknown\nFor help contact help@mx.example\n",
            "could not be delivered.\nRecipient: <a@x.example>\nReason: 550 user unknown\n\nPlease contact <help@mx.example>\n or call. <help@mx.example>\n",
            "The following message, addressed to 'a@x.example', failed: 550 user unknown\n",
            "c=US;a= ;p=X;o=Y;dda:SMTP=a@x.example; on Tuesday\n could not be delivered, recipient unknown 550\n",
            "could not be delivered\n\n--- Below this line is a copy of the message.\n\nReturn-Path: <b@y.example>\nTo: a@x.example\nFrom: b@y.example\n",
        ],
    )  # fmt: skip
    def test_neither_who_helps_nor_who_wrote_is_the_recipient(self, text: str) -> None:
        assert [one for one, _ in _findings(text)] == ["a@x.example"]

    def test_a_recipient_named_twice_is_one_and_doubt_outranks_hard(self) -> None:
        status = "Final-Recipient: rfc822; a@x.example\nAction: failed\nStatus: {}\n\n"
        text = "Content-Type: message/delivery-status\n\n" + "".join(
            map(status.format, ("5.1.1", "5.2.2", "5.1.1"))
        )
        found = report.recognise(mime.read(text.encode()))
        assert found is not None
        assert [(one.original, one.verdict.kind) for one in found.findings] == [("a@x.example", "soft")]

    def test_a_name_inside_their_system_is_read_as_the_address_we_wrote_to(self) -> None:
        words = "Your message cannot be delivered to the following recipients:\n\n  Recipient address: a@ims-daemon\n  Original address: a@x.example\n"
        raw = (
            "Content-Type: multipart/report; boundary=r\n\n--r\n\n"
            + words
            + "\n--r\nContent-Type: message/delivery-status\n\n"
            "Final-Recipient: rfc822;a@ims-daemon\nAction: failed\nStatus: 5.2.2\n\n--r--\n"
        )
        found = report.recognise(mime.read(raw.encode()))
        assert found is not None
        assert [(one.recipient, one.original) for one in found.findings] == [("a@ims-daemon", "a@x.example")]

    @pytest.mark.parametrize(
        "line",
        [
            "  b@y.example\n    (generated from a@x.example)\n    550 unknown user", "  b@y.example\n    (ultimately generated from a@x.example)\n    retry timeout exceeded",
            "b@y.example\n    (reason: 553 ask help@y.example)\n    (expanded from: <a@x.example>)", "<b@y.example> (expanded from <a@x.example>): unknown user",
        ],
    )  # fmt: skip
    def test_whose_mail_was_sent_on_is_whom_we_wrote_to(self, line: str) -> None:
        for returned_to in ("a@x.example", "list@z.example"):
            found = _report(
                f"The following addresses failed:\n\n{line}\n\n--- Original message ---\nTo: {returned_to}\n"
            )
            assert found is not None
            assert [(one.recipient, one.original, one.named) for one in found.findings] == [
                ("b@y.example", "a@x.example", "")
            ]

    def test_all_of_a_list_are_recipients_also_those_the_message_did_not_name(self) -> None:
        text = (
            "Your message\n  To: c@x.example\ndid not reach the following recipient(s):\n\na@x.example on Thu, 29 Apr\n    not recognized\n"
            "b@x.example on Thu, 29 Apr\n    not recognized\n\n--- Original message ---\nTo: a@x.example\n"
        )
        assert [one for one, _ in _findings(text)] == ["a@x.example", "b@x.example"]

    def test_a_group_of_fields_given_twice_is_one_recipient(self) -> None:
        group = "Final-Recipient: rfc822; a@x.example\nAction: failed\nStatus: 5.0.0\n\n"
        text = (
            f"See\n\n550 5.1.1 no such user\n\n--r\nContent-Type: message/delivery-status\n\n{group * 2}--r--"
        )
        head = DAEMON + "Content-Type: multipart/mixed; boundary=r\n"
        assert _findings(f"--r\n\n{text}", head) == [("a@x.example", "hard")]

    def test_a_status_handed_on_as_a_file_is_one(self) -> None:
        part = "Content-Type: application/octet-stream; name=details.txt\n\nReporting-MTA: dns; mx\n\nFinal-Recipient: rfc822; a@x.example\nAction: failed\nStatus: 5.1.1\n"
        head = DAEMON + "Content-Type: multipart/mixed; boundary=rrr\n"
        assert _findings(f"--rrr\n\nSee\n--rrr\n{part}--rrr--\n", head) == [("a@x.example", "hard")]

    def test_whoever_asks_about_a_failure_does_not_report_one(self) -> None:
        head = "From: kim@m.example\nReturn-Path: <kim@m.example>\nSubject: My mail could not be delivered\n"
        asked = "Hello, my mail to b@y.example could not be delivered. Can you help?\n"
        assert _report(asked, head) is None
        assert _findings(f"{asked}\n<b@y.example>: quota\n", head) == [("b@y.example", "soft")]

    def test_people_who_write_about_such_things_name_nobody(self) -> None:
        for head in ("From: kim@m.example\nSubject: Ticket by unknown user\n", "Subject: Unknown user\n"):
            assert _report("This was sent in by an unknown user.\n", head) is None

    def test_a_report_that_names_nobody_is_about_nobody(self) -> None:
        assert _findings("Your message could not be delivered.\n") == [("", "soft")]

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("收件人邮件地址（a@x.example）不存在，邮件无法送达。", "a@x.example"), ("无法投递到a@x.example：User not found", "a@x.example"), ("宛先a@x.exampleが見つかりません", "a@x.example"),
            ("用户@x.example", "用户@x.example"), ("jörg@bücher.example", "jörg@bücher.example"), ("ann@例え.jp", "ann@例え.jp"), ("иван@почта.рф", "иван@почта.рф"),
            ("«a@x.example»", "a@x.example"), ("“a@x.example”", "a@x.example"),
        ],
    )  # fmt: skip
    def test_an_address_is_told_from_the_sentence_it_stands_in(self, text: str, found: str) -> None:
        assert returned.addresses(text) == [found]


class TestWhatItSays:
    @pytest.mark.parametrize(
        ("words", "action"),
        [
            ("could not be delivered", "failed"), ("has not yet been delivered. Delivery attempts will continue", "delayed"),
            ("Gmail will retry for 45 more hours. You'll be notified if the delivery fails permanently.", "delayed"),
            ("WARNING MESSAGE ONLY. The following addresses had fatal errors", "delayed"), ("Message will be retried for 2 more day(s)", "delayed"),
            ("will try again? No: giving up after 5 days", "failed"), ("was successfully delivered to", "delivered"), ("a@x.example", ""),
            ("wurde noch nicht zugestellt, verzögert", "delayed"), ("n'a pas pu être remis", "failed"), ("доставка отложена", "delayed"), ("配信できませんでした", "failed"),
        ],
    )  # fmt: skip
    def test_words_say_failed_delayed_or_delivered(self, words: str, action: str) -> None:
        assert announcing.action(mime.read(b"Subject: x\n\n"), words) == action

    def test_fields_quoted_in_a_forwarded_report_are_read(self) -> None:
        text = "See below.\n\n> Reporting-MTA: dns; mx\n>\n> Final-Recipient: rfc822; a@x.example\n> Action: failed\n> Status: 5.1.1\n"
        assert _findings(
            text, "From: kim@m.example\nSubject: Fwd: Undelivered Mail Returned to Sender\n"
        ) == [("a@x.example", "hard")]


class TestWhereTheReturnedMessageBegins:
    @pytest.mark.parametrize(
        "line",
        [
            "--- Below this line is a copy of the message.", "------ This is a copy of the message, including all the headers. ------", "   ----- Original message follows -----",
            "   ----- Unsent message follows -----", "----- Original message -----", "The header of the original message is following", "> Return-Path: <o@shop.example>",
            "Received: from a by b", "Content-Type: message/rfc822",
        ],
    )  # fmt: skip
    def test_it_is_cut_there(self, line: str) -> None:
        raw = f"\n<a@x.example>: user unknown\n\n{line}\nFrom: o@shop.example\nSubject: user b@y.example unknown\n\nQuota!"
        words, tail = returned.words_of(mime.read(raw.encode()))
        assert words.strip() == "<a@x.example>: user unknown"
        assert returned.header_of(mime.read(raw.encode()), tail)[-1][0] == "subject"

    @pytest.mark.parametrize(
        "line",
        [
            "Your message was not delivered",
            "The original message was received at Tuesday",
            "Undelivered message:",
            "Returned mail: see transcript",
        ],
    )
    def test_a_line_of_the_report_is_none(self, line: str) -> None:
        words, _ = returned.words_of(
            mime.read(f"\nHello.\n\n{line}\n\n<a@x.example>: user unknown\n".encode())
        )
        assert "user unknown" in words


def test_what_the_email_was_called_is_no_word_of_the_reporter() -> None:
    text = "Your message\n\n  Subject: Unknown user, no such account\n\ncould not be delivered to <a@x.example>.\n"
    assert _findings(text) == [("a@x.example", "soft")]


def test_whom_to_ask_for_help_is_not_a_recipient_anywhere() -> None:
    text = "could not be delivered.\n\nPlease contact help@mx.example if you need it.\n\n<help@mx.example>\n\n<a@x.example>\n"
    assert [one for one, _ in _findings(text)] == ["a@x.example"]


def test_a_paragraph_that_does_not_say_why_is_followed_by_the_one_that_does() -> None:
    said = paragraphs.Paragraphs("<a@x.example>\n\n550 no such user\n\n<b@x.example>\n\nquota")
    assert said.about(("a@x.example",), alone=False) == "<a@x.example>\n550 no such user"
    assert "550" not in said.about(("b@x.example",), alone=False)


def test_whatever_is_no_report_may_be_a_reply() -> None:
    assert inbound.read(b"")[1].kind == "reply"
