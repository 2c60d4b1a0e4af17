"""Which refusals prove that an address does not exist: replies as real servers give them, none of them wrong.

A reply under GOOD comes from a server at which the address may well exist. One of these taken for proof is the one
error that nothing makes good; one under GONE that is missed costs one more refusal.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mail import nonexistence

# (code, text as it follows the code, lines joined by newline)
GONE = [
    (550, "5.1.1 invalid recipient"),
    (550, "5.1.1 Benutzer nicht gefunden"),
    (550, "5.1.1 нет такого пользователя"),
    (550, "5.1.1 存在しないメールアドレスです"),
    # Postfix
    (550, "5.1.1 <x@a.test>: Recipient address rejected: User unknown in local recipient table"),
    (550, "5.1.1 <x@a.test>: Recipient address rejected: User unknown in virtual mailbox table"),
    (550, "5.1.1 <x@a.test>: Recipient address rejected: User unknown in virtual alias table"),
    (550, "5.1.1 <x@a.test>: Recipient address rejected: User unknown in relay recipient table"),
    (550, "5.1.1 <x@a.test>: Recipient address rejected: a.test"),
    (550, "<x@a.test>: Recipient address rejected: User unknown in local recipient table"),
    (550, "5.1.2 <x@a.test>: Recipient address rejected: Domain not found"),
    (556, "5.1.10 <x@a.test>: Recipient address rejected: Domain a.test does not have any mail (nullMX)"),
    (556, "5.1.10 Recipient address has null MX"),
    (556, "5.1.10 Domain has null MX"),
    # Sendmail
    (550, "5.1.1 <x@a.test>... User unknown"),
    (550, "<x@a.test>... User unknown"),
    (550, "5.1.2 <x@a.test>... Host unknown (Name server: a.test: host not found)"),
    (553, "5.1.3 <x>... User address required"),
    # Exim
    (550, "Unknown user"),
    (550, "No such user here"),
    (550, "No Such User Here"),
    (550, "unknown user <x@a.test>"),
    (550, "5.1.1 <x@a.test> User unknown"),
    # qmail, netqmail, vpopmail
    (550, "sorry, no mailbox here by that name (#5.1.1 - chkuser)"),
    (550, "sorry, no mailbox here by that name. (#5.7.17)"),
    (511, "5.1.1 sorry, no mailbox here by that name (#5.1.1 - chkuser)"),
    # Exchange
    (550, "5.1.1 User unknown"),
    (550, "5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup"),
    (550, "5.1.1 RESOLVER.ADR.RecipNotFound; not found"),
    (550, "5.1.10 Recipient not found [VE1EUR03FT004.eop-EUR03.prod.protection.outlook.com]"),
    # Gmail
    (550, "5.1.1 The email account that you tried to reach does not exist. Please try\n5.1.1 double-checking the "
          "recipient's email address for typos or\n5.1.1 unnecessary spaces. For more information, go to\n5.1.1  "
          "https://support.google.com/mail/?p=NoSuchUser a1-20020a05600c.3 - gsmtp"),
    (550, "5.1.1 The email account that you tried to reach does not exist. Learn more at "
          "https://support.google.com/mail/?p=NoSuchUser d9443c01a7336-20 - gsmtp"),
    # Yahoo, AOL
    (550, "5.1.1 <x@a.test>: Recipient address rejected: a.test MailboxNotFound"),
    (550, "Requested mail action not taken: user unknown"),
    # Apple, GMX, Web.de, Mail.ru, Yandex, Zoho, OVH, Dovecot, Zimbra, Amazon WorkMail, Lotus
    (550, "5.1.1 <x@icloud.test>: user does not exist"),
    (550, "5.1.1 unknown recipient"),
    (550, "Message was not accepted -- invalid mailbox. Local mailbox x@a.test is unavailable: user not found"),
    (550, "5.1.1 No such user!"),
    (550, "No such user!"),
    (550, "5.1.1 <x@a.test>: Recipient address rejected: User does not exist"),
    (550, "5.1.1 <x@a.test> User doesn't exist: x@a.test"),
    (550, "5.1.1 <x@a.test>: Recipient address rejected: a.test: no such account"),
    (550, "5.1.1 Mailbox does not exist"),
    (550, "x@a.test... No such user"),
    (550, "5.1.1 Usuario desconocido"),
    (550, "5.1.1"),
    (550, "5.0.0 <x@a.test>... User unknown"),
    (550, "5.1.0 <x@a.test>: User unknown"),
    (550, "User not found: x@a.test"),
    (550, "Recipient not found"),
    (550, "Mailbox not found"),
    (550, "Account does not exist"),
    (551, "unknown user"),
    (550, "5.1.6 Recipient no longer on server"),
    (501, "5.1.3 Bad recipient address syntax"),
    (550, "5.4.4 Domain not found"),
    (550, "5.4.4 No such host"),
    (554, "5.1.1 <x@a.test>: Recipient address rejected: User unknown"),
    # what the sender is asked to do
    (550, "5.1.1 User unknown, please update your address list"),
    (550, "5.1.1 Recipient unknown, please check your e-mail address"),
    (550, "User unknown. Please check the recipient in your e-mail address field"),
    (550, "5.1.1 No such user - please verify the address"),
]  # fmt: skip

GOOD = [
    # a code for an unknown address, and words that say something else
    (550, "5.1.1 unverified address: connect to mx.x.test[192.0.2.1]:25: Connection refused"),
    (550, "5.1.1 unverified address: host mx.x.test[192.0.2.1] said: 451 4.3.0 problem"),
    (550, "5.1.1 undeliverable address: host mx said: 550 5.7.1 rejected"),
    (550, "5.1.1 Recipient rejected by filter"),
    (550, "5.1.1 Message filtered"),
    (550, "5.1.1 Message rejected"),
    (550, "5.1.1 Denied"),
    (550, "5.1.1 server busy"),
    (550, "5.1.1 Mailbox over size"),
    (550, "5.1.1 user is over storage allocation"),
    (550, "5.1.1 Mailbox size has been reached"),
    (550, "5.1.1 Postfach voll"),
    (550, "5.1.1 schránka je plná"),
    (550, "5.1.1 Buzón lleno"),
    (550, "5.1.1 Casella piena"),
    (550, "5.1.1 mailbox unavailable"),
    (550, "5.1.1 User unknown; relayed host answered 5.7.1"),
    (553, "5.1.3 SMTPUTF8 required: non-ASCII address"),
    # policy and blocks under a code that seems to say "unknown"
    (550, "5.1.1 Message blocked due to spam content"),
    (550, "5.1.1 <x@a.test>: Recipient address rejected: blocked using zen.spamhaus.org"),
    (550, "5.1.1 Rejected by policy"),
    (550, "5.1.1 Mail from your IP is rejected, user unknown"),
    (550, "5.1.1 Client host [192.0.2.1] blocked using Barracuda Reputation"),
    (550, "5.1.1 <x@a.test>: Recipient address rejected: Greylisted, see http://postgrey.test"),
    (550, "5.1.1 rate limited, please slow down"),
    (550, "5.1.1 Too many recipients for unknown users, try again later"),
    (550, "5.1.1 Too many invalid recipients"),
    (550, "5.1.1 Requested action not taken: mailbox temporarily unavailable"),
    (550, "5.1.1 recipient overquota, user unknown"),
    (550, "5.1.1 Mailbox full"),
    (550, "5.1.1 Account is suspended"),
    (550, "5.1.1 The user's mailbox is disabled"),
    (550, "5.1.1 <x@a.test>: Recipient address rejected: unverified address: Address verification in progress"),
    (550, "5.1.1 <x@a.test>: Recipient address rejected: Access denied"),
    (550, "5.1.1 Relaying denied"),
    (550, "5.1.1 relay not permitted, user unknown"),
    (550, "5.1.1 Recipient lookup failed: LDAP server failure"),
    (550, "5.1.1 Internal error in user database"),
    (550, "5.1.1 Only members may post to this list"),
    (550, "5.1.1 Authentication required"),
    (550, "5.1.1 DMARC check failed"),
    (550, "5.1.2 DNS lookup failure, try again"),
    (550, "5.1.2 Temporary lookup failure"),
    (550, "5.1.2 Domain does not resolve: server failure"),
    # the sender is unknown, told in answer to RCPT
    (550, "5.1.0 <me@b.test>: Sender address rejected: User unknown in virtual mailbox table"),
    (550, "5.1.1 <me@b.test>: Sender address rejected: User unknown in local recipient table"),
    (550, "5.1.1 Sender verify failed: no such user"),
    (550, "Verification failed for <me@b.test>\nCalled:   192.0.2.1\nSent:     RCPT TO:<me@b.test>\n"
          "Response: 550 5.1.1 User unknown\nSender verify failed"),
    (550, "Callback setup failed while verifying <me@b.test>: unknown user"),
    (550, "5.1.8 <me@b.test>: Sender address rejected: Domain not found"),
    (550, "5.1.7 Invalid address: unknown user"),
    (553, "5.1.8 <me@b.test>... Domain of sender address does not exist"),
    (550, "mail from address: no such user"),
    (550, "Return-Path user unknown"),
    # mailbox there, resting or full
    (552, "5.2.2 Mailbox full"),
    (552, "5.1.1 user unknown"),
    (550, "5.2.2 <x@a.test>: user is over quota"),
    (550, "5.2.1 The email account that you tried to reach is disabled. Learn more at https://support.google.com"),
    (550, "5.2.1 The email account that you tried to reach is inactive."),
    (550, "5.2.1 mailbox disabled, not accepting messages"),
    (452, "4.2.2 The email account that you tried to reach is over quota"),
    (550, "5.2.0 RESOLVER.RST.RecipSizeLimit; message too large for this recipient"),
    (550, "5.3.4 Message too big for user"),
    (552, "1 Requested mail action aborted, mailbox not found"),
    # policy proper
    (550, "5.7.1 Service unavailable; client blocked; user unknown"),
    (550, "5.7.1 <x@a.test>: Recipient address rejected: User unknown"),
    (550, "5.7.1 RESOLVER.RST.NotAuthorized; not authorized"),
    (550, "5.7.26 This mail is unauthenticated, which poses a security risk"),
    (550, "5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup"),
    (550, "5.4.1 Recipient address rejected: Access denied. AS(201806281) [DB5EUR03FT036.eop-EUR03]"),
    (550, "5.4.1 All recipient addresses rejected : Access denied"),
    (554, "5.7.1 [CS] Message blocked. Please refer to https://postmaster.test/user-unknown"),
    (550, "SC-001 (BAY004-MC1F) Unfortunately, messages from 192.0.2.1 weren't sent. Your IP is blocked"),
    (550, "OU-002 (SNT004) Unfortunately, messages from 192.0.2.1 weren't sent. Contact your ISP"),
    (554, "Message not allowed - [299]"),
    (553, "5.7.2 [TSS09] All messages from 192.0.2.1 will be permanently deferred; Retrying will NOT succeed"),
    (421, "4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to user complaints"),
    (550, "5.7.350 Remote server returned message detected as spam -> 550 5.1.1 user unknown"),
    (550, "JunkMail rejected - a.test [192.0.2.1] is in an RBL: no such user"),
    # bare or vague: says nothing about the address
    (550, ""),
    (550, "5.0.0"),
    (550, "Requested action not taken: mailbox unavailable"),
    (550, "5.5.0 Requested action not taken: mailbox unavailable (S2017062302)"),
    (550, "Recipient rejected"),
    (550, "Invalid recipient"),
    (550, "Administrative prohibition"),
    (550, "Unrouteable address"),
    (550, "relay not permitted"),
    (550, "#5.1.0 Address rejected."),
    (550, "Access denied - Invalid HELO name (See RFC2821 4.1.1.1)"),
    (550, "Rejected because of user preferences"),
    (550, "permanent failure for one or more recipients (x@a.test:blocked)"),
    (550, "<no-such-user@a.test>: rejected"),
    (550, "rejected, see https://a.test/user-unknown/no-such-user"),
    (550, "no.such.user@unknown-user.test rejected"),
    (551, "User not local; please try <x@b.test>"),
    (554, "delivery error: dd This user doesn't have a yahoo.com account (x@yahoo.com) [0] - mta4184"),
    (554, "5.0.0 user unknown"),
    (554, "no such user"),
    (550, "5.4.4 Unable to route"),
    (550, "5.4.4 Host not found, try again"),
    (550, "5.4.6 Routing loop detected, user unknown"),
    (553, "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"),
    (550, "Mailbox unavailable or access denied - <x@a.test>"),
    (550, "User unknown or mailbox over quota"),
    (550, "5.1.1 or 5.2.2: user unknown or over quota"),
    (550, "recipient mail host does not exist"),
    (550, "5.7.27 Sender address has null MX"),
    (556, "5.1.10 Sender address has null MX"),
    # temporary, or no refusal of a recipient at all
    (450, "4.1.1 <x@a.test>: Recipient address rejected: unverified address"),
    (450, "5.1.1 user unknown"),
    (451, "4.3.0 <x@a.test>: Temporary lookup failure"),
    (421, "5.1.1 no such user"),
    (250, "5.1.1 no such user"),
    (0, "5.1.1 no such user"),
    (535, "5.1.1 user unknown"),
    (530, "5.1.1 unknown user"),
    (534, "no such user"),
    (521, "5.1.1 host does not accept mail"),
    (550, "5.1.1 connection dropped"),
    (550, "5.1.1 your e-mail address is unknown here"),
    (550, "5.1.1 return address does not exist"),
    (550, "5.1.1 recipient is not valid for external senders"),
    (550, "5.1.1 user does not exist in this cluster, try other MX"),
    (550, "5.1.1 mailbox is at capacity"),
    (550, "5.1.1 account not yet activated"),
    (550, "5.1.1 user refuses to receive this mail"),
    (550, "5.1.1 Postfach zur Zeit nicht verfügbar"),
    (550, "5.1.1 почтовый ящик временно недоступен"),
    (550, "5.1.1 사용자가 없습니다. 휴면 계정입니다"),
    (550, "user unknown (momentan)"),
    (550, "5.1.1 Please verify the e-mail address"),
    (550, "5.1.1 Please review your mail"),
    (550, "5.1.1 User unknown, please check your SPF record"),
    (550, "5.1.1 User unknown, please verify your sender address"),
    (550, "5.1.1 User unknown, please verify your e-mail address"),
    (550, "5.1.1 Unable to verify recipient"),
    (550, "5.1.1 Cannot check the recipient's address"),
    (550, "5.1.1 Please check the recipient and try again later: user unknown"),
    (550, "5.1.1 用户不存在 暂时"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "text"), GOOD)
def test_nobody_is_suppressed_for_what_proves_nothing(code: int, text: str) -> None:
    assert not nonexistence.is_proven(code, None, text)


def test_hardly_any_address_that_is_gone_is_tried_for_ever() -> None:
    missed = [(code, text) for code, text in GONE if not nonexistence.is_proven(code, None, text)]
    assert len(missed) <= 1, missed


_POSTFIX = "5.1.1 <x@a.test>: Recipient address rejected: "


@pytest.mark.parametrize("text", [text.removeprefix("5.1.1 ") for code, text in GOOD if code == 550 and text.startswith("5.1.1 ") and "@" not in text] + [
    "Account not yet activated", "On vacation until Monday", "no mail today", "Mailbox is being moved", "caixa lotada", "brak miejsca", "hibernated",
    "vorübergehend nicht erreichbar", "momentan nicht erreichbar", "一時的に利用できません", "Rejected for now", "seasonal address, opens in May",
])  # fmt: skip
def test_what_postfix_says_before_every_refusal_agrees_to_nothing(text: str) -> None:
    assert not nonexistence.is_proven(550, None, f"{_POSTFIX}{text}")
    assert not nonexistence.is_proven(550, None, f"5.1.1 {text}")


@pytest.mark.parametrize(
    "text", [text.removeprefix("5.1.1 ") for _, text in GONE if text.startswith("5.1.1 ") and "@" not in text]
)
def test_what_postfix_says_before_every_refusal_hides_nothing(text: str) -> None:
    assert nonexistence.is_proven(550, None, f"{_POSTFIX}{text}")


@pytest.mark.parametrize("word", [
    "policy", "blocked", "spam", "greylisted", "rate limit", "quota", "try again later", "sender", "SPF", "temporarily",
    "gesperrt", "desativada", "禁用", "отключен", "bloqué", "bloccato", "suspensa", "заблокирован", "спам", "ブロック", "垃圾邮件", "차단", "Absender", "remitente", "отправитель", "发件人",
    "authentication", "mailbox full", "too many", "access denied", "suspended", "verification", "blacklisted", "your IP",
])  # fmt: skip
@pytest.mark.parametrize("code", ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.4.4", "5.0.0", ""])
def test_one_doubtful_word_is_enough_to_keep_writing(word: str, code: str) -> None:
    assert not nonexistence.is_proven(550, code or None, f"{code} user unknown: {word}")
    assert not nonexistence.is_proven(550, code or None, f"{word.upper()} no such user; domain not found")


@given(st.integers(0, 499), st.sampled_from(["5.1.1", "5.1.10", None]), st.text(max_size=100))
def test_only_a_permanent_refusal_proves_anything(code: int, enhanced: str | None, text: str) -> None:
    assert not nonexistence.is_proven(code, enhanced, f"user unknown {text}")


@given(st.integers(500, 599), st.sampled_from([None, "5.1.1", "5.7.1"]), st.text(max_size=5000))
def test_whatever_a_server_writes_is_read(code: int, enhanced: str | None, text: str) -> None:
    nonexistence.is_proven(code, enhanced, text)
    nonexistence.is_proven(code, enhanced, text * 20)
