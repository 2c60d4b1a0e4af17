"""Machine or person: fields first, then subjects that no person writes."""

import pytest

from services.tracker import mime, rfc3834


def _reason(*fields: str) -> str | None:
    return rfc3834.reason(mime.read(("\n".join(fields) + "\n\nHello\n").encode()))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (["Auto-Submitted: auto-replied"], "auto-submitted"), (["Auto-Submitted: auto-generated; owner-email=a@b"], "auto-submitted"),
        (["Precedence: auto_reply"], "precedence"), (["Precedence: bulk"], "bulk"), (["Precedence: list"], "list"), (["List-Id: <a.b>"], "list"),
        (["X-Autoreply: yes"], "x-autoreply"), (["X-Autorespond: vacation"], "x-autorespond"), (["X-Auto-Response-Suppress: All"], "x-auto-response-suppress"),
        (["X-MS-Exchange-Generated-Message-Source: Mailbox Rules Agent"], "x-ms-exchange-generated-message-source"),
        (["Return-Path: <>"], "empty return path"), (["From: no-reply@a.example"], "sender"), (["From: Shop <noreply@a.example>"], "sender"),
    ],
)  # fmt: skip
def test_a_machine_shows_by_its_fields(fields: list[str], reason: str) -> None:
    assert _reason(*fields) == reason


@pytest.mark.parametrize(
    "subject",
    [
        "Automatic reply: Order", "Auto-Reply: Order", "Autoreply: Order", "Auto: away", "Out of Office: Order", "Out of Office AutoReply: Order", "OOO: Order",
        "Automatische Antwort: Bestellung", "Abwesenheitsnotiz: Bestellung", "Automatische Abwesenheitsmeldung", "Réponse automatique : Commande",
        "Respuesta automática: Pedido", "Risposta automatica: Ordine", "Resposta automática: Pedido", "Automatisch antwoord: Bestelling",
        "Odpowiedź automatyczna: Zamówienie", "Automatyczna odpowiedź", "Autosvar: Beställning", "Automaattinen vastaus: Tilaus", "Automatická odpověď: x",
        "Автоответ: Заказ", "Автоматический ответ: Заказ", "自動返信: 注文", "自动回复: 订单", "自動回覆: 訂單", "자동 회신: 주문", "자동응답", "Otomatik yanıt: Sipariş",
        "Re: Automatic reply: Order", "AW: Automatische Antwort: x", "Vacation reply", "Away message", "Your message has been received",
        "Automatic reply: Your order", "Out of Office Re: Your order", "I am on leave until Monday", "[Auto-Reply] Your order",
        "Autoreply: Your order", "Thank you for your email", "Annual leave", "OOO Re: Your order", "Vacation response",
        "On maternity leave Re: Your order", "Abwesend: Ihre Bestellung", "Automatische Antwort: Ihre Bestellung", "Abwesenheitsnotiz: Urlaub",
        "AUTO: Max Muster ist außer Haus (Rückkehr am 05.01.)", "Ich bin im Urlaub", "Eingangsbestätigung: Ihre Anfrage", "Ich bin nicht im Büro",
        "Réponse automatique : Votre commande", "Absence du bureau : Votre commande", "Message d’absence", "Je suis en congés",
        "Réponse automatique d’absence du bureau", "Respuesta automática: Su pedido", "Fuera de la oficina: Su pedido", "Estoy de vacaciones",
        "Risposta automatica: Il tuo ordine", "Fuori sede: Il tuo ordine", "Sono in ferie", "Resposta automática: Seu pedido",
        "Ausência temporária: Seu pedido", "Estou de férias", "Automatisch antwoord: Uw bestelling", "Afwezigheidsbericht",
        "Niet op kantoor: Uw bestelling", "Autoodpowiedź: Zamówienie", "Autosvar: Order", "Frånvaromeddelande: Order", "Automatiskt svar: Order",
        "Autosvar: Ordre", "Fraværsmeddelelse", "Automatisk svar: Ordre", "Fraværsassistent: Ordre", "Poissaoloviesti",
        "Automatická odpověď: Objednávka", "Automatická odpoveď: Objednávka", "Automatikus válasz: Rendelés", "Răspuns automat: Comanda",
        "Otomatik Yanıt: Sipariş", "Αυτόματη απάντηση: Παραγγελία", "Автоматична відповідь: Замовлення", "Автоматичен отговор: Поръчка", "自動応答: ご注文",
        "不在通知: ご注文", "自动答复: 订单", "부재중 자동 응답", "מענה אוטומטי: הזמנה", "رد تلقائي: طلب", "ตอบกลับอัตโนมัติ: คำสั่ง", "Trả lời tự động: Đơn hàng",
        "Balasan otomatis: Pesanan", "Automatski odgovor: Narudžba", "Automaatvastus: Tellimus", "Automatinis atsakymas: Užsakymas",
        "Automātiska atbilde: Pasūtījums", "Resposta automàtica: Comanda", "Автовідповідь: Замовлення", "Sjálfvirkt svar: Pöntun", "Erantzun automatikoa: Eskaera",
    ],
)  # fmt: skip
def test_a_machine_shows_by_its_subject(subject: str) -> None:
    assert _reason(f"Subject: {subject}") == "subject"


@pytest.mark.parametrize(
    "subject",
    [
        "Re: vacation plans", "Re: holiday schedule", "RE: Out of Office policy", "AW: Urlaub im Mai", "AW: Abwesenheit", "Re: Thank you for contacting us",
        "Re: Your request has been received", "Sv: Frånvaro", "Antw: afwezig op maandag", "R: in ferie?", "Re: autumn sale", "Re: Authentication code",
        "Re: Autonomous cars", "Vacation plans", "Holiday schedule 2026", "Auto insurance", "Re: automatic transmission", "My car is an automatic", "",
        "Re: [2] Away day", "回复: 不在", "Re: response to your question", "Reply needed", "Antwort auf Ihre Frage", "Answer",
    ],
)  # fmt: skip
def test_a_persons_subject_is_a_persons(subject: str) -> None:
    assert _reason(f"Subject: {subject}", "From: Kim <kim@m.example>", "In-Reply-To: <a@b>") is None


@pytest.mark.parametrize(
    "fields",
    [
        ["Auto-Submitted: no"], ["X-Autoreply: no"], ["X-Auto-Response-Suppress: DR, OOF, AutoReply"], ["Precedence: normal"],
        ["Return-Path: <kim@m.example>"], ["From: Noreen <noreen@m.example>"],
    ],
)  # fmt: skip
def test_fields_that_say_no_say_no(fields: list[str]) -> None:
    assert _reason(*fields, "Subject: Re: Order") is None


def test_what_a_list_hands_on_of_an_answer_is_a_persons() -> None:
    assert (
        _reason("Subject: Re: Order", "In-Reply-To: <a@b>", "List-Id: <team.m.example>", "Precedence: list")
        is None
    )


@pytest.mark.parametrize(
    "subject", ["On leave policies in Europe", "Absent colleagues", "Annual leave policy", "Urlaubsplanung", "Holiday photos", "Request for leave"]
)  # fmt: skip
def test_whoever_writes_about_absence_is_a_person(subject: str) -> None:
    assert _reason(f"Subject: {subject}") is None
