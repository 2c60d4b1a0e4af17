"""Hard or soft: hard only by a code or words that say that nobody has the address, and nothing against it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tracker import verdict


@pytest.mark.parametrize(
    ("status", "diagnostic"),
    [
        ("5.1.1", ""), ("5.1.2", ""), ("5.1.3", ""), ("5.1.6", ""), ("5.1.10", ""), ("5.4.4", "Host not found"),
        ("5.0.0", "550 5.1.1 no"), ("5.0.0", "550 user unknown"), ("5.5.0", "551 User not local; unknown user"),
        ("", "550 No such user here"), ("", "550 <a@b.example>: Recipient address rejected: User unknown in virtual alias table"),
        ("5.1.0", "550 5.1.0 Address rejected, no such recipient"), ("", "550 Unbekannter Empfänger"),
        ("4.0.0", "DNS Error: 80480947 DNS type 'mx' lookup of x.example responded with code NXDOMAIN Domain name not found: x.example"),
        ("5.4.4", "Sorry, I couldn't find a mail exchanger or IP address. (#5.4.4)"), ("5.4.310", "550 5.4.310 DNS domain x.example does not exist"),
        ("5.0.0", "550-The email account that you tried to reach does not exist. Please try double-checking the address and try again"),
        ("5.1.1", "550 5.1.1 <a@b.example> recipient rejected"), ("5.1.1", "550 5.1.1 inactive email address"), ("5.1.1", "550 5.1.1 this user no longer works here"),
        ("5.1.1", "550 5.1.1 Adresse ist ungültig"), ("5.1.1", "550 5.1.1 https://mx.example/unknown x1"), ("5.0.0", "550 Kein solcher Benutzer"),
        ("5.0.0", "550 nie ma takiego konta"), ("5.0.0", "550 нет такого пользователя"), ("5.0.0", "550 okänd mottagare"), ("5.0.0", "550 查無此人"),
        ("5.0.0", "550 宛先不明"), ("5.0.0", "550 A felhasználó nem létezik"), ("5.1.6", "550 5.1.6 Recipient no longer on server"), ("5.0.0", "554 Rcpt <a@b.example> does not exist"), ("5.1.10", "556 5.1.10 Recipient address has null MX"), ("5.1.10", "556 5.1.10 Domain has null MX"), ("5.0.0", "550 User doesn’t exist"), ("5.1.1", "550 5.1.1 <a@b.example>: Recipient address rejected: b.example"),
        ("5.1.1", "host mx.b.example[192.0.2.1] said: 550 5.1.1 <a@b.example>"), ("5.1.1", "550 5.1.1 Brak takiego użytkownika"), ("5.1.1", "550 5.1.1 Korisnik ne postoji"),
        ("5.1.1", "550 5.1.1 存在しないメールアドレスです"),
        ("5.0.0", "550 no existe ese usuario"), ("5.0.0", "550 Destination addresses were unknown"), ("5.0.0", "550 Host unknown (Authoritative answer)"),
        ("5.0.0", "550 ο χρήστης δεν υπάρχει"), ("5.0.0", "550 宛先が見つかりません"), ("5.0.0", "550 없는 메일 주소"), ("5.0.0", "550 mailbox could not be found"),
        ("5.0.0", "550 <a@b.example> is not a valid mailbox"), ("5.0.0", "553 5.0.0 <a@b.example>: not a valid mailbox."), ("5.0.0", "550 recipient address could not be found"),
    ],
)  # fmt: skip
def test_an_address_that_nobody_has_is_hard(status: str, diagnostic: str) -> None:
    assert verdict.judge("failed", status, "", diagnostic).kind == "hard"


@pytest.mark.parametrize(
    ("status", "diagnostic"),
    [
        ("5.2.2", "552 5.2.2 mailbox full"), ("5.3.4", "552 5.3.4 too big"), ("5.7.1", "550 5.7.1 user unknown"),
        ("5.0.0", "550 rejected"), ("5.0.0", ""), ("5.5.0", "554 Transaction failed"), ("4.1.1", "450 4.1.1 user unknown"),
        ("5.1.1", "550 5.1.1 mailbox quota exceeded"), ("5.1.1", "550 5.1.1 blocked by spamhaus"), ("5.2.1", "550 5.2.1 user unknown"),
        ("5.1.1", "450 4.2.0 user unknown, greylisted"), ("5.0.0", "550 unknown user (in reply to end of DATA command)"),
        ("5.1.1", "550 5.1.1 unknown user (in reply to end of DATA command)"), ("5.1.8", "550 5.1.8 sender unknown"),
        ("5.0.0", "550 account disabled, user unknown"), ("5.4.4", "try again, host not found"), ("5.7.0", "535 authentication failed"),
        ("5.1.1", "550 5.1.1 RCP-P2 Refused due to recipient preferences"), ("", "421 user unknown"), ("5.1.351", "550 5.1.351 unknown recipient"),
        ("5.1.1", "550 [SUSPEND] Mailbox currently suspended"), ("5.1.1", "550 5.1.1 account temporarily disabled"), ("5.1.1", "550 administrative prohibition"),
        ("5.0.0", "550 Verification failed for sender; no such user here"), ("5.1.1", "550 message bloqué par le filtre"), ("5.1.1", "550 сообщение отклонено: спам"),
        ("5.1.1", "550 被拒绝, 垃圾邮件"), ("5.1.1", "550 Conta suspensa"), ("5.1.1", "550 buzón lleno"), ("5.1.1", "550 ящик переполнен"), ("5.1.1", "550 邮箱已满"),
        ("4.0.0", "domain name not found"), ("4.4.4", "450 4.4.4 NXDOMAIN"), ("5.4.310", "550 5.4.310 DNS lookup failure"),
        ("5.1.1", "This mail was scanned by MailGate and rejected: virus found"), ("5.1.1", "It has been checked for viruses. Infected."),
        ("5.1.1", "Amazon SES has suppressed sending to this address"),
        ("5.1.1", "550 5.1.1 mailbox is at capacity"), ("5.1.1", "550 5.1.1 account not yet activated"), ("5.1.1", "550 5.1.1 connection dropped"),
        ("5.1.1", "550 mail refused"), ("5.1.1", "550 5.1.1 only members may post here"), ("5.1.1", "550 5.1.1 user refuses to receive this mail"),
        ("5.1.2", "550 5.1.2 no mail today"), ("5.1.1", "550 5.1.1 почтовый ящик временно недоступен"), ("5.1.1", "550 5.1.1 Postfach zur Zeit nicht verfügbar"),
        ("5.0.0", "550 사용자가 없습니다. 휴면 계정입니다"), ("5.0.0", "550 用户不存在或暂时停用"),
        ("5.0.0", "550 a postafiók megtelt, a felhasználó nem található"), ("5.0.0", "550 ο χρήστης δεν βρέθηκε, γεμάτο"), ("5.0.0", "550 tuntematon vastaanottaja, täynnä"),
        ("5.0.0", "550 utilizator inexistent sau dezactivat"), ("5.0.0", "550 kullanıcı bulunamadı, devre dışı"), ("5.0.0", "550 okänd mottagare, spärrad"),
        ("5.1.1", "550 5.1.1 一時的に利用できません"), ("5.1.1", "550 5.1.1 <a@b.example>: Recipient address rejected: Account not yet activated"),
        ("5.1.1", "550 5.1.1 <a@b.example>: Recipient address rejected: Mailbox is being moved"), ("5.1.1", "550 5.1.1 Unbekannter Fehler"),
        ("5.1.1", "550 5.1.1 <a@b.example>: Recipient address rejected: Message format invalid"), ("5.1.1", "550 5.1.1 원인을 알 수 없는 오류"),
        ("5.1.1", "550 5.1.1 user currently unavailable"), ("5.1.1", "5.1.1 account not yet activated"),
        ("5.1.1", "[550] 5.1.1 account not yet activated"), ("5.1.1", "account not yet activated (550 5.1.1)"), ("5.1.1", "account not yet activated"),
        ("5.1.1", "550 5.1.1 posta kutusunda yer yok"), ("5.1.1", "550 5.1.1 This domain has moved to mx2"),
        ("5.1.1", "550 5.1.1 Please verify the e-mail address"), ("5.1.1", "550 5.1.1 Please review your mail"), ("5.1.1", "550 5.1.1 Please verify your message and try again"),
        ("5.1.1", "550 5.1.1 <a@b.example>: Recipient address rejected: Please verify the e-mail"),
    ],
)  # fmt: skip
def test_whatever_speaks_against_it_makes_it_soft(status: str, diagnostic: str) -> None:
    assert verdict.judge("failed", status, "", diagnostic).kind == "soft"


@pytest.mark.parametrize(
    "diagnostic",
    [
        "550-Verification failed for <o@shop.example> 550-No Such User Here 550 Sender verify failed",
        "550 You are not in the recipient's address book", "550 rejected: recipient refused for unknown reason", "550 Your IP address is invalid",
        "550 Your domain does not exist", "550 your server does not have a valid reverse address", "550 cannot find your domain",
        "550 domain does not exist: mail.shop.example", "550 unrouteable mail domain", "550 invalid domain, see <https://mx.example/>", "550 unroutable sender address",
        "550 Émetteur inconnu, adresse introuvable", "550 Your e-mail address is unknown here", "550 The address you are sending from does not exist",
        "550 Return address does not exist", "550 the user who sent this is not a valid user", "550 recipient is not valid for external senders",
        "550 user not known at this relay", "550 user does not exist in this cluster, try other MX", "550 mailbox not found on this server, migrating",
        "550 5.1.0 - Unknown address error 550-'Requested action not taken'", "550 5.1.1 отправитель не найден", "550 5.1.1 Absender unbekannt",
        "550 5.1.1 remitente desconocido", "550 5.1.1 发件人不存在", "550 5.1.1 보낸 사람을 찾을 수 없습니다", "550 5.1.1 неизвестный клиент",
        "550 Domain of sender address does not exist", "550 Relay access denied", "550 relay not permitted, unknown recipient domain", "550 5.1.0 Address rejected.",
        "550 Callout verification failed: user unknown", "550 Mailbox not found or over quota", "554 Recipient address rejected: Access denied",
        "550 Message was not accepted: mailbox is restricted", "550 account closed", "550 The user is not on the whitelist, user unknown", "550 bad HELO, host unknown",
        "550 Client host rejected: cannot find your reverse hostname", "550 recipient rejected: unknown error", "553 sorry, that domain isn't in my list of allowed rcpthosts",
        "550 Requested action not taken: mailbox unavailable", "550 Mail rejected by user", "550 User over the limit", "550 Unauthenticated email is not accepted",
        "550 spam score too high for unknown user", "550 This message has an invalid header for user", "550 The recipient cannot receive attachments with unknown type",
    ],
)  # fmt: skip
def test_what_speaks_of_the_sender_or_of_the_message_is_soft(diagnostic: str) -> None:
    assert verdict.judge("failed", "5.0.0", "", diagnostic).kind == "soft"
    assert verdict.judge("failed", "", diagnostic).kind == "soft"


@pytest.mark.parametrize(
    "words",
    [
        "Die Absenderadresse existiert nicht", "l'adresse de l'expéditeur est inconnue", "la dirección del remitente no existe", "indirizzo del mittente inesistente",
        "No se encontró la dirección de correo del remitente", "adres nadawcy nie istnieje", "адрес отправителя не существует", "adres van de afzender onbekend",
        "发件人地址不存在", "差出人のメールアドレスが存在しません", "보낸 사람의 메일 주소를 찾을 수 없습니다", "avsenderadressen er ukjent", "gönderen adresi bulunamadı",
        "adresse IP inconnue", "dirección IP desconocida", "IP-Adresse unbekannt", "IP-адрес не найден", "IP地址不存在", "adresse de retour inconnue", "Rücksendeadresse existiert nicht",
        "conta desativada, usuario inexistente", "用户不存在或被禁用", "邮箱不存在或已停用", "Benutzer unbekannt, Konto deaktiviert", "адрес отключен, не существует",
        "Nessun utente autenticato", "user is not on this system, ask the other MX", "mailbox is no longer on this server, it was moved to node B",
        "mailbox server could not be found", "mailbox database could not be found", "RCPT command not recognized", "RCPT not valid before authorization",
        "kein Nutzer mit diesem Namen angemeldet", "addresses of your MX unknown", "η διεύθυνση του διακομιστή δεν βρέθηκε", "нет такого адреса у отправляющего сервера",
        "адрес сервера не найден", "пользователь не зарегистрирован для приёма почты от вас", "ваш адрес не найден", "服务器地址不存在", "您的地址不存在", "sunucu adresi bulunamadı",
        "발신 도메인이 존재하지 않습니다", "adresse du serveur inconnue", "dirección del servidor no encontrada", "Adresse des Servers nicht gefunden", "relay host unknown",
        "invalid greeting for user", "bad signature for user", "connecting host unknown", "Recipient mail server not found", "recipient's mailbox host unknown",
        "다음 수신자에게 메시지를 배달할 수 없습니다", "The domain or IP address couldn't be found", "It was scanned by MailGate and classified as spam. No such user here",
        "recipient gateway could not be found", "mailbox service could not be found", "mailbox transport not found", "recipient next hop could not be found",
        "mail account route not found", "mailbox file not found", "From: not a valid address", "Not a valid user; AUTH first", "not a valid address: 192.0.2.7",
        "Dynamic addresses are not recognized", "IPv6 addresses not registered in DNS here",
        "没有该用户的权限", "受信者の許可リストに見つかりません", "nie ma takiego adresu na liście dozwolonych", "A címzett nem található: szerverhiba", "παραλήπτης: δεν υπάρχει χώρος",
        "无此用户权限", "アドレス帳に存在しないアドレスです", "허용 목록에 없는 이메일 주소입니다", "osoitetta ei löydy sallittujen listalta", "käyttäjää ei löydy: palvelinvirhe",
        "no existe el buzón asignado, error del servidor", "no existe esa dirección en su libreta", "alıcı yok: sunucu hatası", "používateľ: neznáma chyba",
        "користувача не знайдено в білому списку", "kein Nutzer unter dieser Adresse will Post von Ihnen",
    ],
)  # fmt: skip
def test_what_is_not_said_of_an_address_that_nobody_has_is_soft_in_any_language(words: str) -> None:
    assert verdict.judge("failed", "5.0.0", "", f"550 {words}").kind == "soft"


@pytest.mark.parametrize(
    "words",
    ["Diesen Empfänger gibt es nicht: Benutzer unbekannt. Der Absender wurde benachrichtigt", "수신자를 찾을 수 없습니다", "사용자 계정이 없습니다", "ユーザーはディレクトリのリストにありません", "Benutzer auf diesem Server unbekannt", "없는 사용자입니다"],
)  # fmt: skip
def test_what_is_said_of_the_recipient_is_hard_whatever_the_next_sentence_says(words: str) -> None:
    assert verdict.judge("failed", "5.0.0", "", f"550 {words}").kind == "hard"


def test_what_a_gateway_boasts_of_says_nothing_of_the_recipient() -> None:
    words = "Delivery failed.\n\nThis e-mail has come from the internet and has been scanned for all viruses by MailGate."
    said = verdict.judge("failed", "5.1.1", words)
    assert (said.kind, said.category) == ("hard", "invalid_recipient")


@pytest.mark.parametrize(
    ("status", "diagnostic", "category"),
    [
        ("", "retry timeout exceeded", "network"), ("5.4.6", "554 5.4.6 Too many hops", "network"),
        ("5.4.4", "Name service error for name=x.example type=MX: Malformed or unexpected name server reply", "network"),
        ("5.4.14", "554 5.4.14 Hop count exceeded - possible mail loop", "network"), ("5.4.1", "550 5.4.1 Recipient address rejected: Access denied", "policy"),
        ("5.7.1", "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", "policy"), ("5.7.1", "550 5.7.1 go away", "policy"),
        ("5.7.1", "550 5.7.1 No mailbox found", "invalid_recipient"), ("5.0.0", "550 Mailbox is frozen", "invalid_recipient"),
        ("5.1.1", "550 5.1.1 rejected: listed at zen.spamhaus.org", "spam"), ("5.1.1", "550 5.1.1 relaying denied", "policy"),
        ("4.4.1", "I'm not going to try again; this message has been in the queue too long.", "network"),
        ("5.0.0", "554 Rcpt <a@x.example> does not exist", "invalid_recipient"), ("5.1.1", "550 RCPT TO:<a@x.example> max message size exceeded", "message_too_large"),
        ("5.0.0", "[x.example]: Name or service not known", "network"), ("5.7.1", "550 5.7.1 Blocked by SpamAssassin", "spam"), ("5.0.0", "554 rejected due to security policies", "policy"),
        ("", "554 This user doesn't have a x.example account", "invalid_recipient"), ("4.7.1", "450 4.7.1 go away", "server_busy"),
    ],
)  # fmt: skip
def test_a_refusal_is_of_the_kind_its_words_are_of(status: str, diagnostic: str, category: str) -> None:
    assert verdict.judge("failed", status, "", diagnostic).category == category


def test_what_a_server_said_has_to_agree_wherever_its_code_is_told() -> None:
    assert verdict.judge("failed", "5.1.1", "said: 550 5.1.1", "account not yet activated").kind == "soft"
    assert verdict.judge("failed", "5.1.1", "Your message did not get there.").kind == "hard"


def test_words_beside_a_code_may_gainsay_it() -> None:
    assert verdict.judge("failed", "5.1.1", "the mailbox is full", "550 5.1.1 no").kind == "soft"
    assert (
        verdict.judge("failed", "5.0.0", "(in reply to end of DATA command)", "550 user unknown").kind
        == "soft"
    )
    assert (
        verdict.judge("failed", "5.0.0", "", "550 user unknown", ">>> DATA <<< 550 user unknown").kind
        == "soft"
    )


def test_an_answer_to_rcpt_that_was_read_after_data_is_one_to_rcpt() -> None:
    session = ">>> DATA <<< 550 user unknown <<< 554 Error: no valid recipients"
    assert verdict.judge("failed", "5.0.0", "", "550 user unknown", session).kind == "hard"
    assert (
        verdict.judge("failed", "5.0.0", "", "550 user unknown", ">>> DATA <<< 503 Need RCPT").kind == "hard"
    )


@pytest.mark.parametrize(
    "session",
    [
        "(in reply to MAIL FROM command)", "SMTP error from remote mail server after MAIL FROM:<o@shop.example> SIZE=2048:", "192.0.2.8 does not like sender.",
        ">>> MAIL From:<o@shop.example> SIZE=2048 <<< 550 5.1.1 user unknown", "--> MAIL FROM:<o@shop.example> <-- 550 5.1.1 user unknown",
        "hMailServer sent: MAIL FROM:<o@shop.example> Remote server replied: 550 user unknown", "192.0.2.8 failed on DATA command.",
        "SMTP error from remote server for TEXT command",
    ],
)  # fmt: skip
def test_an_answer_to_another_command_than_rcpt_says_nothing_of_the_recipient(session: str) -> None:
    assert verdict.judge("failed", "5.1.1", session, "550 5.1.1 user unknown").kind == "soft"


def test_a_session_that_shows_how_mail_from_was_answered_says_no_more_of_the_sender() -> None:
    session = (
        "--> MAIL FROM:<o@shop.example> <-- 250 OK --> RCPT TO:<a@x.example> <-- 550 5.1.1 Recipient unknown"
    )
    assert verdict.judge("failed", "", session).kind == "hard"


@pytest.mark.parametrize("action", ["delivered", "relayed", "expanded", "delayed"])
def test_an_action_that_is_no_failure_stands_whatever_the_words(action: str) -> None:
    assert verdict.judge(action, "5.1.1", "user unknown", "550 5.1.1 user unknown").kind == action


@pytest.mark.parametrize(
    ("diagnostic", "status", "words", "code"),
    [
        ("550 5.7.26 no", "5.0.0", "", "5.7.26"), ("550 no", "5.1.1", "", "5.1.1"), ("550-5.2.1 a 550 5.2.1 b", "5.0.0", "", "5.2.1"),
        ("550 no", "5.0.0", "said 5.7.1", "5.7.1"), ("", "", "(#5.1.1)", "5.1.1"), ("host 10.5.1.1 said no", "", "", None),
        ("version 5.1.1.2", "", "", None), ("550 no", "5.0.0", "4.2.2 earlier", "5.0.0"),
    ],
)  # fmt: skip
def test_the_best_code_is_the_diagnostics_then_the_status_then_the_words(
    diagnostic: str, status: str, words: str, code: str | None
) -> None:
    assert verdict.judge("failed", status, words, diagnostic).code == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("550-5.7.1 blocked", 550), ("host a[192.0.2.550] said: 452 later", 452), ("Remote host said: 550 no", 550), ("550: no", 550),
        ("ERROR_CODE :550, no", 550), ("at 12:550 o'clock", 0), ("call 555-1234", 0), ("250 ok", 0), ("id 1550 x", 0),
    ],
)  # fmt: skip
def test_a_reply_code_is_no_other_number(text: str, code: int) -> None:
    assert verdict.reply_code(text) == code


def test_nothing_said_is_a_failure_only_where_the_action_says_so() -> None:
    assert verdict.judge("failed", "", "", "").kind == "soft"
    assert verdict.judge("", "", "", "").kind == "unknown"


@given(
    st.text(max_size=500), st.text(max_size=500), st.sampled_from(["", "5.0.0", "5.1.1", "4.4.1", "5.7.1"])
)
def test_a_temporary_code_is_never_hard(words: str, diagnostic: str, status: str) -> None:
    said = verdict.judge("failed", status, words, f"451 4.3.0 {diagnostic}")
    assert said.kind != "hard"
    assert len(said.text) <= 500


@pytest.mark.parametrize(
    "text",
    [
        "550 invalid address: only subscribers may post", "550 unknown user in From header", "550 unknown address in sender", "550 user unknown, account on hold",
        "550 user unknown (LDAP problem)", "550 recipient unknown: lookup error", "550 no such user, limit reached", "550 user not found, on vacation",
        "550 forwarding failed: no such user", "550 unknown user, address is unverified", "550 invalid mailbox, over its size",
    ],
)  # fmt: skip
def test_words_beside_an_unknown_user_that_explain_it_otherwise_are_soft(text: str) -> None:
    judged = verdict.judge("failed", "", "", text)
    assert (judged.kind, judged.category == "invalid_recipient") == ("soft", False)
    assert verdict.judge("failed", "", "", text.split(" ")[0] + " user unknown").kind == "hard"
