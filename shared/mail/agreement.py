"""Owns whether a server's words agree with its code that nobody has the address, in the languages servers speak.

No veto is enough where the code alone decides: there are more ways to say that a mailbox is there than anybody lists.
So one clause has to name whom and say that it is missing, and nothing else that may be missing; words that nobody here
knows agree to nothing. Without that, 5.1.1 beside "account not yet activated" would suppress for ever.
"""

import re
from typing import Final

# Where one of these was not found it is the one that is missing, unless it is where was looked.
MACHINE: Final = r"(?<!\bthis\ )(?<!\bour\ )\b(?:servers?|hosts?|data ?base|commands?|domain|mx|store|backend|director(?:y|ies)|nodes?)\b"
# The sender, its server and where it wants answers, in the languages that reports and refusals are written in beside English.
SENDER: Final = re.compile(
    "absender|exp[eé]diteur|[eé]metteur|remitente|mittente|remetente|afzender|nadawc|avs[eä]nd|afsend|lähettäj"
    "|odes[ií]latel|odosielate|gönderen|gönderici|felad[oó]|expeditor|pošiljat|pošiljal|người gửi|pengirim"
    "|αποστολ|отправител|відправник|подател|изпращач|пошиља|المرسل|השולח|ผู้ส่ง"
    "|[发發寄]件[人者]|发信人|差出人|送信者|送信元|発信者|보낸 ?사람|보내는 ?사람|[발송]신 ?[자인]"
    r"|(?:adress?e?n?|adresu?|direcci[oó]n|indirizzo|endere[cç]o|адрес[ау]?|διεύθυνση)(?: \S{1,12})? (?:ser[vw]|сервер|διακομιστ)"
    r"|у \S{1,20} сервер|sunucu\w{0,3} adres|(?:服务器|伺服器|来源|來源|[您你]的)(?:地址|邮箱|信箱)|도메인이? ?존재|귀하의"
    r"|\b(?:ihre|votre|notre|unsere|uw) (?:e-?mail-?)?adres|\bsu (?:direcci|correo)|\btuo indirizzo|\bseu endere"
    r"|ваш(?:его|ему)? (?:адрес|хост|сервер|домен)|от вас"
    r"|(?:adress?e?|adresu?|direcci[oó]n|indirizzo|endere[cç]o) ip\b|ip[ -]?(?:adress?|адрес|[地位]址|アドレス|주소)"
    r"|rücksende|(?:adresse|direcci[oó]n|endere[cç]o|indirizzo) d[ei] r(?:etour|etorno|itorno)|обратн|клиент"
)
_WHO: Final = (
    r"\buser|\blocal[ -]?part\b|\brecipient|\brcpt\b|mail ?box|\baccounts?\b|\baddress|\balias|\bperson\b|\bcustomer|\bemployee|\bdestination|e-?mail\b"
    r"|nutzer|empf[aä]|empfae|postfach|\bkont|mailadress|teilnehmer|utilisateur|destinat|\bcompte|\bbo[iî]te|adres|usu[aá]ri|cuenta|buz[oó]n"
    r"|direcci|\bconta\b|endere|caixa|utent|casella|indirizz|gebruiker|ontvanger|postvak|u[żz]ytkown|odbiorc|skrzynk|användar|mottag|bruker"
    r"|brugere|bruger\b|modtag|vastaanottaj|käyttäj|osoite|felhaszn|címzett|postafi|\bc[ií]m\b|utilizator|u[žz]ivatel|příjemc|používate|príjemc"
    r"|schr[aá]nk|kullan[ıi]c|al[ıi]c[ıi]|hesap|korisnik|uporabnik|primatelj|primalac|prejemnik|pengguna|penerima|\bakun|người (?:dùng|nhận)"
    r"|tài khoản|hộp thư|пользовател|получател|адрес|ящик|уч[её]тн|абонент|користувач|отримувач|одержувач|скриньк|потребител|корисник"
    r"|χρήστη|παραλήπτη|διεύθυνσ|λογαριασμ|用户|用戶|使用者|收件|邮箱|郵箱|信箱|地址|帐[户号]|账[户号]|帳[戶號]|ユーザ|宛先|受信者|アドレス|メールボックス"
    r"|사용자|수신자|계정|주소|مستخدم|مستلم|عنوان|حساب|משתמש|נמען|כתובת|חשבון|ผู้ใช้|ผู้รับ|บัญชี"
)
_WHOM: Final = re.compile(_WHO)
_BAD: Final = r"(?:bad|bogus|wrong|incorrect|malformed|illegal|invalid|undefined|inactive|disallowed)"
_BAD_ABROAD: Final = r"(?:ungültig|invalide|inv[aá]lid|no v[aá]lid|non valid|errat[oa]|sbagliat|nieprawidł|neplatn|geçersiz|неверн|неверен|잘못된)"
_MISSING: Final = re.compile(
    r"\bunknown\b|non-?exist|nonexisting|n[o']?t exist|misspelled|unrecogni[sz]ed|unroute?able"
    rf"|\b(?:{_BAD}|no such) (?:(?!for |from |to |of |in )[\w-]{{1,14}} ){{0,2}}(?:user|recipient|rcpt|mail ?box|account|address(?! book)|e-?mail|alias|destination|person|customer|local)"
    rf"|(?:\b{_BAD}|\bdeleted|\bremoved|\bgone|(?:account|mailbox|customer) (?:has been |was |is )?(?:terminated|cancell?ed)|\bnot present|(?:\bnot|n't) here|\bhas left|(?<!being) moved)(?: by user)?\W*$"
    r"|\bno longer (?:exist|valid|in (?:use|service)|on (?:(?:this|our|the) )?(?:server|system)|(?:at|with) (?:this|our|the|us)\b|here|a (?:valid|user|customer))|\bleft (?:the|our) (?:company|organi[sz]ation|firm|school|university)|\bhas moved\b"
    r"|(?:\b(?:can)?not|n't) (?:be |been )?(?:an? )?(?:valid|known|found|located|resolved|recogni[sz]ed|listed|registered|ours|our|local|a (?:user|mailbox|customer)|on file|in use|on (?:this|our) (?:server|system|site)|in (?:(?:my|our|the) )?(?:valid|directory|database))\b"
    r"|(?:(?:unable|failed) to|(?:can|could|did|do|does) ?not|can't|couldn't|didn't|don't|doesn't) (?:find|locate|know|resolve|have) (?:[\w-]{1,14} )?(?:user|recipient|mail ?box|account|address|person|alias)"
    r"|\bno (?:valid recipient|(?:mail ?box|account|user)(?: record)?(?: (?:here|found|available for this|by|with|of|at|for|under)\b|\W*$))|address (?:syntax|required|format)"
    r"|unbekannt|existiert nicht|nicht (?:gefunden|bekannt|vorhanden)|gibt es nicht|mit diesem namen|kein\w{0,2} solche"
    r"|aucune? (?:utilisateur|destinataire|compte|bo)|inconnu|introuvable|n'existe|desconocid|no (?:existe|encontrad)"
    r"|n[aã]o (?:existe|encontrad)|desconhecid|inexist|desconegut|nessun utente|sconosciut|inesistent|non (?:esiste|trovat)"
    r"|onbekend|bestaat niet|niet gevonden|nieznan|nie istnieje|nie ma takie|brak takie|nie znaleziono|okänd|finns inte|ukjent|ukendt"
    r"|finnes ikke|findes ikke|eksisterer ikke|tuntematon|ei löydy|ei ole(?: olemassa)?\W*$|ismeretlen|nincs ilyen|nem létez|necunoscut|nu exist"
    r"|neexist|neznám|nebyl\w? nalezen|bulunamad|\b(?:b[oö]yle bir )?(?:kullan[ıi]c[ıi]|al[ıi]c[ıi]|hesap|adres) yok\b"
    r"|nepoznat|ne postoji|nije pronađen|ne obstaja|neznan|tidak (?:ditemukan|dikenal|ada\W*$)|không (?:tồn tại|tìm thấy)"
    r"|неизвест|несуществ|не существ|не найден|не зарегистр|нет тако|тако(?:го|й) \S{1,14} нет|ящик удал[её]н|не існу|невідом|не знайден"
    r"|не съществ|непозна|не е намерен|не постои|δεν (?:υπάρχ|βρέθηκ)|άγνωστ|(?:用户|用戶|收件[人者]|邮箱|信箱|地址|账号|帐号)名?[无無]效|[无無]效的?(?:用户|用戶|收件|邮箱|信箱|地址|账号|帐号)|不存在|找不到|未找到|[查无無]此|[没沒]有[这這该該]"
    r"|不明|存在し[なま]|見つかりません|該当する\S{0,10}(?:いません|ありません)|존재하지|찾을 수 없|(?<!수 )없는 (?:수신자|사용자|계정|이?메일|주소)"
    rf"|(?:{_WHO})\w{{0,8}}(?: \w{{1,8}})? ?{_BAD_ABROAD}|{_BAD_ABROAD}\w{{0,4}} ?(?:{_WHO})"
    r"|غير (?:موجود|معروف)|لا يوجد (?:مستخدم|حساب)|לא (?:קיים|נמצא|ידוע)|ไม่(?:พบ|รู้จัก|มี(?:ผู้ใช้|ผู้รับ|บัญชี))"
)
# What else may be unknown, wrong or not found, in those languages: errors, servers, passwords, lists, permissions, room.
OTHER_ABROAD: Final = (
    r"fehler|\bursache|erreur|\berror[ei]\b|\berror del?\b|\berro\b|\bfout|b[łl][aą]d|\bfejl\b|\bfeil\b|virhe|\bhib[aá]|hiba\b|eroare|\bchyb|\bhata|grešk|napak|kesalahan|\blỗi\b"
    r"|ошибк|помилк|грешк|σφάλμα|エラー|错误|錯誤|原因|오류|원인|خطأ|שגיאה|ข้อผิดพลาด|ser[vw](?:eur|idor)|сервер|sunucu|服务器|伺服器|サーバ|서버"
    r"|kennwort|passwor|mot de passe|contraseñ|\bsenha\b|hasł|парол|密[码碼]|비밀번호|befehl|\bcommande|\bcomando|команд|命令"
    r"|\blist[aey]\b|liście|listalta|seznam|списк|목록|(?<!ディレクトリの)リスト|列表|名[单單]|アドレス帳|주소록|连接|連絡先|libreta|rubrica|książ|адресной книг|adressbuch|carnet|yhteystied|freigabe"
    r"|权限|權限|授权|授權|策略|許可|権限|권한|permis|autoriz|jogosult|\bizni|upraw|άδεια|χώρο|spațiu|контакт|\bvon ihnen|\bnimmt\b|disponible pour"
)
_OTHER_THING: Final = re.compile(
    rf"{MACHINE}|\b(?:errors?|cause|reason|failure|problem|trouble|(?<!on )file|service|space|room|capacity|credit|certificate|type)\b|address ?book|\blist\b|contacts|ser[vw]er|{OTHER_ABROAD}"
)
# Where was looked is none of them.
WHERE: Final = re.compile(
    r"\b(?:on|at|in|by|from|auf|en|sur|su|op|na|no|em|på)(?: [^\s.;:]{1,10})?(?: mail)?[ -](?:ser[vw]\w*|system|host|site|domain|directory|database)\b|на (?:\S{1,10} )?сервер\w*"
)
# These name nobody, and mean one thing; the last is X.400's (RFC 2156).
_COMPLETE: Final = re.compile(
    r"^[\W\d]*does(?: not|n't) exist\W*$|^[\W\d]*not (?:found\W*$|(?:found |listed )?in (?:(?:the|our) )?directory)|\bno ?(?:one|body) (?:here|at|by|with|home)|\bno longer (?:works (?:here|at|for)|employed)|\bnull ?mx\b|accepts no mail"
    r"|[查無无]此人|宛先不明|\bunrecogni[sz]ed-or-?name"
)
# Said before any reason or none, by Postfix also before the name of a domain; what RFC 5321 calls any 550; and who said it.
_PREAMBLE: Final = re.compile(
    r"\b(?:(?:recipient|user|mailbox)(?: address)?|address) rejected\b:?(?: (?:[\w-]{1,63}\.){1,8}[\w-]{2,63}(?=[\s:]|$))?"
    r"|requested (?:mail )?action not taken:? mailbox unavailable"
    r"|\bhost \S{1,255} {1,3}(?:\S{1,64} )?said:"
)
_STOPS: Final = re.compile(r"[.;。]")
_PAUSES: Final = re.compile(r"[:,(，、]")
# Two words, or some of a script without spaces: less than that explains nothing.
_SENTENCE: Final = re.compile(
    r"[^\W\d_]{2}\W{1,4}[^\W\d_]{3}|[\u0e00-\u0eff\u3040-\uffef]{2}\W{0,4}[\u0e00-\u0eff\u3040-\uffef]{2}"
)


def agrees(answer: str) -> bool:
    """Say whether a server's words, in lower case, agree with its code that nobody has the address, or explain nothing."""
    answer = without_preamble(answer)
    return _SENTENCE.search(answer) is None or any(map(_says_so, _STOPS.split(answer)))


def without_preamble(answer: str) -> str:
    """Return a server's words, in lower case, without those that stand before any refusal."""
    return _PREAMBLE.sub(" ", answer)


def _says_so(sentence: str) -> bool:
    if SENDER.search(sentence):
        return False
    return _COMPLETE.search(sentence) is not None or any(
        _MISSING.search(clause) and _WHOM.search(clause) and not _OTHER_THING.search(WHERE.sub(" ", clause))
        for clause in _PAUSES.split(sentence)
    )
