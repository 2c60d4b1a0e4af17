"""Which words agree with a code that nobody has the address: in any language those that say it of a recipient alone."""

from typing import Final

import pytest

from shared.mail import nonexistence

POSTFIX: Final = "5.1.1 <x@a.test>: Recipient address rejected: "


@pytest.mark.parametrize("text", [
    "You do not have access to this mailbox", "User has left the office until Monday", "Delivery to user cancelled", "invalid greeting for user", "no such luck for this user",
    "ผู้ใช้ไม่มีพื้นที่", "用户认证无效", "pengguna tidak ada ruang", "неверная подпись для пользователя", "user no longer on duty", "cannot find route to recipient",
    "Unbekannter Fehler", "Erreur inconnue", "Error desconocido", "Errore sconosciuto", "Erro desconhecido", "Onbekende fout", "Nieznany błąd", "Ukendt fejl",
    "Tuntematon virhe", "Ismeretlen hiba", "Eroare necunoscută", "Neznámá chyba", "Неизвестная ошибка", "Невідома помилка", "Άγνωστο σφάλμα", "原因不明のエラー",
    "원인을 알 수 없는 오류", "Delivery failed, reason unknown", "recipient rejected: unknown error", "unknown error for this user", "Fehler bei Benutzer: unbekannte Ursache",
    "posta kutusunda yer yok", "메일을 받을 수 없는 상태입니다", "권한이 없는 요청입니다", "잘못된 요청", "无效的命令", "неверный пароль", "неверный пароль пользователя", "Ungültiger Befehl",
    "commande invalide", "message invalide", "mensaje inválido", "Neplatná zpráva", "This domain has moved to mx2", "mail store not found", "mailbox store not found",
    "DNS record not found", "no such file or directory", "mailbox: no such file or directory", "no mailbox space", "user currently unavailable", "Mailbox not available",
    "account is unavailable", "You are not on this user's list", "user has left instructions to refuse this", "not found: backend", "user directory not found",
    "message format not valid", "You have a bad address book", "user is not present today", "command not recognized", "user no longer wishes to receive mail from you",
])  # fmt: skip
def test_another_thing_that_is_unknown_or_wrong_proves_nothing(text: str) -> None:
    assert not nonexistence.is_proven(550, None, f"5.1.1 {text}")
    assert not nonexistence.is_proven(550, None, f"{POSTFIX}{text}")


@pytest.mark.parametrize("text", [
    "The recipient cannot be found", "<x@a.test> does not exist", "<x@a.test>: does not exist.", "wrong address", "Address incorrect", "bogus address", "malformed address", "User isn't known", "address isn't valid", "unable to locate user", "Cannot find user",
    "Can't find this mailbox", "nobody here by that name", "User moved", "User doesnt exist", "User doesn’t exist", "account has been terminated", "not in directory",
    "unknown user on this server", "Recipient no longer on server", "unknown local part in domain a.test", "user is not a customer", "Mail address not on this server",
    "Brak takiego użytkownika", "Nie znaleziono użytkownika", "Usuario no encontrado", "Conta não encontrada", "Endereço não encontrado", "Destinatario no válido",
    "Utente non trovato", "Mailbox niet gevonden", "Mailadresse gibt es nicht", "Keine solche Mailbox", "Käyttäjää ei ole", "Ящик удалён", "該当するユーザーはいません",
    "Ο χρήστης δεν βρέθηκε", "用户未找到", "Böyle bir kullanıcı yok", "L'usuari no existeix", "Korisnik ne postoji", "Nepoznat korisnik", "Uporabnik ne obstaja",
    "Потребителят не съществува", "Непознат корисник", "Người dùng không tồn tại", "Pengguna tidak ditemukan", "المستخدم غير موجود", "המשתמש לא קיים", "ไม่พบผู้ใช้",
])  # fmt: skip
def test_words_of_any_language_that_nobody_has_the_address_agree_with_the_code(text: str) -> None:
    assert nonexistence.is_proven(550, None, f"5.1.1 {text}")
    assert nonexistence.is_proven(550, None, f"{POSTFIX}{text}")
