"""Whether a message is a delivery report that speaks to people alone, and what it announces: failure or delay. Pure.

A person's answer must never be taken for one: whoever answers a message is a reporter only by a reporter's name.
The words are those of MTAs and providers in the languages they speak.
"""

import re
from typing import Final

from services.tracker import mime, rfc3834, verdict

MAX_WORDS: Final = 20_000
_DAEMON: Final = re.compile(r"mailer[-_ ]?daemon|post[-_ ]?master|mail[-_ ]?daemon|mdaemon", re.IGNORECASE)
REPORTER: Final = re.compile(
    _DAEMON.pattern
    + r"|mail delivery|mail ?system\b|mail administrator|system administrator|mail subsystem|undeliver"
    r"|courier mail server|mail ?router|delivery (?:sub)?(?:service|system)|mail transport|internet mail|\bbounces?@|\bmmdf\b|microsoftexchange",
    re.IGNORECASE,
)
_SUBJECT: Final = re.compile(
    r"undeliver|non[- ]?deliver|not delivered|un?able to deliver"
    r"|deliver(?:y|ed)?\b.{0,40}(?:fail|error|problem|status|notif|delay|report|impossible)"
    r"|fail(?:ed|ure)\b.{0,40}(?:deliver|mail|message|notice)|returned (?:e?-?mail|message|to sender)"
    r"|(?:mail|message)\b.{0,30}(?:return|fail|error|delay|could not|system error|problem|not sent|refused)"
    r"|warning: (?:could not|message)|user unknown|unknown user|\bndn\b|\bndr\b"
    r"|unzustellbar|nicht zugestellt|fehlgeschlagen|zustell\w{0,8}(?:fehler|problem|verz)|non (?:remis|distribu|délivr)"
    r"|échec|non[ -]remise|retour(?:né)? .{0,20}(?:mail|message)|imposible|no se pudo|no (?:se )?(?:ha )?(?:sido )?entreg|devuelto"
    r"|devolvid|mancat[ao]|impossibile|non recapitat|falha (?:na|de|no) |não (?:foi )?entreg|onbestelbaar|niet (?:afgeleverd|bezorgd)"
    r"|niedostarczon|nie dostarczon|zwrot|недостав|не доставлен|ошибка доставки|возврат|kunde inte|gick inte|kunne ikke"
    r"|no se puede entregar|non recapitabil|recapito|não é possível entregar|(?:inte|ikke) (?:levere|kunne leveres|kunnat leverera)"
    r"|toimit|kézbesít|nelivrabil|не (?:удается|удалось|вдалося) достав|παράδοσ|nedoručiteln|teslim edilemi?[eyd]|iletilemedi"
    r"|送达|送達|傳遞|传递|배달되지|配信|不達|退信|エラー|未送達|未達|投递失败|发送失败|无法投递|传送失败|傳送失敗|寄送失敗|반송|전송 ?실패|배달 ?실패",
    re.IGNORECASE,
)
_FAILURE: Final = re.compile(
    r"(?:could|can|was|were|has|have|did|is|are)(?: ?not|n't)\b.{0,40}(?:be )?(?:deliver|sent|reach|accept|process|find|found)"
    r"|not able to deliver|unable to (?:deliver|send|reach)|undeliver|non-deliver"
    r"|delivery\b.{0,60}\b(?:fail|error|impossible|problem|suspend|abort|unsuccess|stopped)"
    r"|(?:fail(?:ed|ure)|error|problem)\b.{0,60}\b(?:deliver|recipient|address)|(?:permanent|fatal|delivery) (?:fatal )?error"
    r"|user unknown|unknown user|final-recipient:|returned to (?:the )?sender|(?:has been|is being|was) returned|encountered an error|rejected|refused"
    r"|(?:nicht|un)[ -]?(?:erfolgreich )?(?:zugestellt|zustellbar|ausgeliefert)|konnte nicht|fehlgeschlagen"
    r"|n[’']a pas (?:pu|été)|n[’']ont pas (?:pu|été)|impossible de (?:remettre|distribuer|délivrer)|échec"
    r"|no (?:se )?(?:ha )?(?:podido|pudo|sido entreg)|no se (?:puede|entreg)|non .{0,30}(?:consegnat|recapitat|possibile)"
    r"|não (?:foi possível|pôde|pode|foi entregue)|falha (?:na|de) entrega|kon niet|niet (?:worden )?(?:afgeleverd|bezorgd)"
    r"|nie (?:można|udało się|mogła|została|może).{0,40}(?:dostarcz|doręcz)|не .{0,30}(?:доставлен|доставить)|недоставлен"
    r"|recapito non riuscito|impossibile (?:recapitare|consegnare)|(?:сбой|помилка) доставки|не вдалося доставити|misslyckades"
    r"|mislykk?[et]\w{2,5}|epäonnistui|nem sikerült|sikertelen|nu a (?:reușit|putut fi livrat)|nezdařil|απέτυχε|δεν .{0,20}παρ[αά]δο"
    r"|kunde inte|gick inte att|kunne ikke|ei voitu|nelze doručit|nebylo možné|teslim edilemedi|iletilemedi|未能"
    r"|(?:配信|送信|配送|お届け)(?:することが)?(?:でき|不能|に失敗)|届けることが|宛先不明|不明です"
    r"|无法|無法|投递失败|发送失败|退回|(?:전송|배달|발송|전달).{0,10}(?:실패|못|불가|수 없|되지)",
    re.IGNORECASE | re.DOTALL,
)
_DELAYED: Final = re.compile(
    r"(?:still|continues?|continues? to|will) (?:be )?(?:try(?:ing)?|retry|retried|attempt(?:ing)? (?:to (?:re)?deliver|again)|queued)\b"
    r"|attempts? (?:to deliver [^.\n]{0,40})?will (?:continue|be made)|will continue to (?:be|try|attempt)|been postponed"
    r"|(?:has|have) not (?:yet )?been (?:delivered|sent)[^.]{0,60}(?:yet|still|after)"
    r"|not yet (?:been )?(?:delivered|sent)|(?:delivery|message|mail)[^.\n]{0,40}\bdelay"
    r"|do(?:es)? not need to (?:re)?send|no action is required|this is a warning|warning message only"
    r"|temporarily (?:delayed|queued)|will be (?:re)?tried"
    r"|verzögert|(?:weitere|erneut).{0,30}(?:zustell|versuch)|retardé|différé|report[ée]e?\b|nouvelles? tentatives?"
    r"|retrasad|demorad|reintent|ritard|atrasad|adiad|vertraagd|opóźnion|задерж|отложен|försenad|forsinket|viivästy|zpožděn"
    r"|noch nicht .{0,40}(?:zugestellt|ausgeliefert)|pas encore (?:été )?(?:remis|distribu|délivr|livr)|(?:todavía|aún) no se ha"
    r"|non è (?:stat[oa] )?ancora|non è (?:ancora )?stat[oa] ancora|ainda não (?:foi|pôde)|nog niet (?:bezorgd|afgeleverd)"
    r"|nie został[ao]? jeszcze|jeszcze nie został|(?:пока|ещё|еще) не .{0,12}доставлен|ще не .{0,12}доставлен"
    r"|har ännu inte|(?:endnu|ennå) ikke|ei ole vielä|(?:dosud|ještě) neby|henüz teslim|まだ.{0,6}(?:配信|配送|お届け)|尚未|아직"
    r"|gecik|遅延|遅れて|延迟|延遲|지연",
    re.IGNORECASE,
)
_DELAYED_SUBJECT: Final = re.compile(
    r"\bdelay|^warning\W{1,4}(?:message|could not send|mail|your)"
    r"|^(?:verzögert|retardé|retrasad|demorad|in ritardo|atrasad|adiad|vertraagd|opóźnion|задерж|затрим|försena|forsinke|viivästy|zpožděn"
    r"|geciktiril|遅延|延迟|延遲|지연)",
    re.IGNORECASE,
)
# Says so whatever else is said of fatal errors.
_STILL_TRYING: Final = re.compile(
    r"do(?:es)? not need to (?:re)?-?send|warning (?:message )?only|will (?:be retried|retry) for \d|if (?:the )?delivery fails permanently|only a temporary failure report",
    re.IGNORECASE,
)
_GIVEN_UP: Final = re.compile(
    r"gave up|giv(?:en|ing) up|have been failing|permanent|fatal|expired|too long"
    r"|could not be delivered (?:for|after|within)|retry (?:time(?:out)?|limit)[^.\n]{0,20}exceed"
    r"|will not (?:be )?(?:re)?tr|no longer|endgültig|définitive?|definitiv|окончательн",
    re.IGNORECASE,
)
# A reply or an address, as a report shows them: at the beginning of a line or at its end, behind a colon.
_SHOWN: Final = re.compile(
    r"\b[45][0-5]\d[ -]|\b[45]\.\d{1,3}\.\d{1,3}\b|^[ \t<\"'(:*>\[-]{0,12}(?:[\w-]{1,20}:[ \t]{1,4})?<?[^\s<>@]{1,64}@[^\s<>@]{1,255}",
    re.MULTILINE,
)
_DELIVERED: Final = re.compile(
    r"success(?:ful(?:ly)?)?\s+(?:been\s+)?(?:mail\s+)?(?:deliver|relay)|delivered successfully|(?:was|has been) delivered to the following"
    r"|erfolgreich (?:zugestellt|weitergeleitet)",
    re.IGNORECASE,
)
# What was not, or not yet, or is to be told when it was.
_NOT_SO: Final = re.compile(
    r"(?:\b(?:not|never|nicht|nie|kein\w{0,2}|if|when|once|until|unless|wenn|falls|sobald)|n['’]t)\b[^.!?]{0,60}\Z",
    re.IGNORECASE,
)
_ANSWER: Final = re.compile(
    r"\s{0,4}(?:re|aw|antw|sv|vs|odp|rv|res|ynt|回复|答复)\s{0,2}(?:\[\d{1,3}\])?[:：]", re.IGNORECASE
)


def is_report(message: mime.Part, words: str, *, has_returned: bool) -> bool:
    """Say whether this is a report without fields: who says it, and that it says so.

    Whoever has a sender's address and no reporter's name has to show what was not delivered, or to whom.
    """
    subject = message.field("subject")
    if rfc3834.is_subject(subject) and not is_from_system(message):
        return False
    if message.field("x-failed-recipients") or _is_by_kind(message):
        return True
    if _answers(message, subject) and not is_from_daemon(message):
        return False
    by_subject = bool(_SUBJECT.search(subject))
    from_reporter = bool(REPORTER.search(f"{message.field('from')} {message.field('sender')}"))
    if from_reporter and by_subject:
        return True
    sender = message.field("return-path").strip()
    empty_sender = sender == "<>" and not rfc3834.is_subject(subject)
    shows = by_subject and (not sender or has_returned or bool(_SHOWN.search(words[:MAX_WORDS])))
    words = words[:MAX_WORDS]
    return ((from_reporter or shows or empty_sender) and _says_so(words)) or (
        is_from_daemon(message) and _says_delivered(words)
    )


def is_from_daemon(message: mime.Part) -> bool:
    """Say whether its author has a name that only mail systems have."""
    return bool(_DAEMON.search(f"{message.field('from')} {message.field('sender')}"))


def is_from_system(message: mime.Part) -> bool:
    """Say whether its author is a mail system by name, so that its words alone may be believed."""
    return is_from_daemon(message) or bool(REPORTER.search(message.field("from")))


def action(message: mime.Part, words: str) -> str:
    """Return RFC 3464's word for what the report says; empty where it says nothing of the kind."""
    subject = message.field("subject")
    if _STILL_TRYING.search(words):
        return "delayed"
    given_up = _GIVEN_UP.search(words)
    if not given_up and (_DELAYED.search(words) or _DELAYED_SUBJECT.search(subject)):
        return "delayed"
    failed = given_up or message.field("x-failed-recipients") or _FAILURE.search(words)
    if not failed and _says_delivered(words):
        return "delivered"
    return "failed" if failed or _SUBJECT.search(subject) else ""


def _is_by_kind(message: mime.Part) -> bool:
    told = message.parameters.get("report-type", "").lower()
    if message.kind != "multipart/report" or told not in ("delivery-status", ""):
        return False
    # Without its type named, a report is a receipt (RFC 8098) just as well.
    return bool(told) or not any(part.kind.endswith("disposition-notification") for part in message.parts)


def _says_so(words: str) -> bool:
    return bool(_FAILURE.search(words) or verdict.says_no_such_user(words) or _DELAYED.search(words))


def _says_delivered(words: str) -> bool:
    found = (one.start() for one in _DELIVERED.finditer(words))
    return any(not _NOT_SO.search(words, max(0, at - 80), at) for at in found)


def _answers(message: mime.Part, subject: str) -> bool:
    """Say whether it is in answer to a message, as people's are."""
    return bool(_ANSWER.match(subject) or message.field("in-reply-to"))
