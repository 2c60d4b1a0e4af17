"""What mail servers say when they refuse, in their words and languages: the vocabulary the verdict is made from.

The phrases are general ones, of RFC 3463 and of what MTAs document; all are matched on lower-cased text that is
free of addresses and links. Adding one to NO_SUCH_USER may suppress an address: it must say nothing else. What only
other alphabets than the Latin one can write is in `abroad`.
"""

import re
from typing import Final

from shared.mail import agreement, nonexistence

# No machine, no command and nothing else of the host's stands between whom and what is not found: it would be that one.
_HOSTS: Final = r"gateways?|transports?|services?|routes?|hops?|files?|relays?|connectors?"
_WHO_IS: Final = (
    r"(?:user|usuario|mailbox|mail\ box|mail\ account|e?-?mail\ (?:account|address)|recipient(?:'s)?"
    r"|account|address(?:ee)?|local\ part|login|alias|username|person)"
    + rf"\b(?:(?!{agreement.MACHINE}|\b(?:{_HOSTS})\b)[^.;\n]){{0,60}}?\b"
)
NO_SUCH_USER: Final = re.compile(
    _WHO_IS
    + r"""
        (?:is\ |was\ |are\ )?(?:unknown(?!\ (?:reason|error|cause|problem|failure|command|type|host|domain))|not\ (?:been\ |be\ )?found|n't\ (?:been\ |be\ )?found|not\ (?:a\ )?known|(?:does\ ?n[o']?t
            |do\ not|did\ not|didn't|not)\ (?:currently\ )?exists?|non-?existent|not\ (?:a\ )?valid
            |invalid|not\ (?:be\ )?(?:listed|recogni[sz]ed|registered|resolved)|no\ longer\ (?:exists?|valid)|has\ been\ removed|undefined)
    |(?:unknown|no\ such|invalid|non-?existent|bad|illegal|incorrect|undefined|unrecogni[sz]ed
        |nonexisting|not\ our)
        (?:\ or\ (?:unknown|illegal|invalid|unresolvable|disallowed
            |nonexistent))?\ ?(?:(?!(?:for|from|to|of|in)\ )[a-z'-]{1,14}\ ){0,2}?(?:local[\ -]?part|users?\b|mail\ ?box
            |recipients?\b|account|person\b|alias|addressee|address\b|mail\ address|customer
            |user\ id|userid)(?!\ (?:type|count|error|book)\b)
    |no\ (?:mail\ ?box|account|user|recipient)\ (?:here\ )?(?:by|with|called|named|at|for
        |under)\ (?:that|this)?
    |no\ mail\ ?box\ (?:here|found|available\ (?:here|for\ this\ user))|mailbox\ not\ here
    |(?:user|recipient|mailbox)\ (?:is\ )?not\ in\ (?:this|our)\ database|rcpt\b\W{0,60}(?:does\ not|do(?:es|s)n't)\ exist
    |(?:does\ ?n[o']?t|do\ not|did\ not|didn't|not)\ (?:have|find|exist|match
        |known)[^.;\n]{0,40}(?:account|mail\ ?box|user|recipient|address|directory|domain)
    |(?:do\ not|don't)\ (?:have|know)[^.;\n]{0,30}(?:user|account|address)
    |not\ (?:listed\ in|found\ in|present\ in|in\ (?:the\ )?)[^.;\n]{0,30}(?:directory|address\ book|user\ database
        |names)
    |user\ unknown|no\ valid\ recipients?\ for\ this|user\ not\ known|(?:is|are)\ not\ (?:a\ )?valid\ users?\b
        |address\ (?:is\ )?wrong\ or\ no\ longer\ valid|address\ couldn't\ be\ found
        |unknown\ (?:or\ illegal\ )?(?:user|alias|local)|unknown\ in\ (?:virtual|local|relay)
        |account\ unknown|destination\ addresses\ were\ unknown
    |recipientnotfound|recipient\ not\ found|unknown\ recipient|resolver\.adr\.\w{0,12}\ ?notfound|not\ in\ my\ validrcptto
        |\bunknown\ rcpt\b
    |this\ (?:user|address|account|mailbox)\ (?:doesn't|does\ not|no\ longer)\ (?:have|exist|exists)
        |has\ no\ mailbox|is\ not\ a\ valid\ (?:user|mailbox|recipient|address)
        |^[\W\d]*not\ a\ valid\ (?:user|mailbox|recipient|address)\W*$
    |not\ a\ (?:known|local)\ user|not\ (?:a\ )?user\ here|there\ is\ no\ (?:such\ )?(?:user|account
        |mailbox|one)|no\ one\ (?:here\ )?by\ that
    |unbekannt(?:er?)?\ (?:empf\w{1,8}|benutzer|adress\w{0,4}|nutzer)|(?:empf\w{1,8}|benutzer|adresse
        |postfach|nutzer)\b[^.;\n]{0,40}(?:unbekannt|existiert\ nicht|nicht\ gefunden|nicht\ vorhanden
        |nicht\ bekannt)
    |kein\w{0,2}\ (?:solche\w?|derartige\w?)\ (?:benutzer|nutzer|empf\w{1,8}|adresse|mailbox|postfach|konto)
        |kein\w{0,2}\ (?:benutzer|nutzer|mailbox|postfach|konto)\ (?:mit|unter)\ diese[mr]\ (?:namen|adresse)(?!\ (?:an|ein)ge)
    |aucune?\ (?:utilisateur|destinataire|compte|bo\w{1,3}te)\ (?:de|avec|\xe0)\ ce(?:tte)?\ (?:nom|adresse)
    |(?:utilisateur|destinataire|adresse|compte|bo\w{1,3}te)\b[^.;\n]{0,40}(?:inconnu|n'existe\ pas
        |introuvable|inexistant)
    |(?:usuario|usu\w{1,2}rio|destinatario|destinat\w{1,2}rio|direcci\w{1,2}n|cuenta|buz\w{1,2}n|conta
        |endere\w{1,2}o)\b[^.;\n]{0,40}(?:desconocid|desconhecid|no\ existe|n\w{1,2}o\ existe|inexistent
        |no\ encontrad|inv\w{1,2}lid)
    |no\ existe\ (?:dich[oa]|es[ea]|est[ea]|el|la|tal)\ (?:usuario|persona|cuenta|direcci\w{1,2}n|buz\w{1,2}n)|nessun\ utente\ (?:con|di|trovato|corrispond)
    |(?:utente|destinatario|casella|indirizzo)\b[^.;\n]{0,40}(?:sconosciut|inesistente|non\ esiste
        |non\ trovat)
    |(?:gebruiker|ontvanger|adres)\b[^.;\n]{0,40}(?:onbekend|bestaat\ niet|niet\ gevonden)
        |onbekende\ (?:gebruiker|ontvanger)
    |(?:u\u017cytkownik|odbiorca|adres|konto)\b[^.;\n]{0,40}(?:nieznany|nie\ istnieje)
        |nieznany\ (?:u\u017cytkownik|odbiorca)|nie\ ma\ takie(?:go|j)\ (?:konta|u[\u017cz]ytkownika|odbiorcy|adresu|skrzynki)
    |(?:mottagaren|mottaker(?:en)?|modtager(?:en)?|anv\w{1,2}ndaren|brukeren|brugeren|adressen?)\b[^.;\n]{0,40}(?:ok\w{1,2}nd
        |ukjent|ukendt|finns\ inte|finnes\ ikke|findes\ ikke|eksisterer\ ikke)
    |(?:ok\w{1,2}nd|ukjent|ukendt)\ (?:mottagare|anv\w{1,2}ndare|mottaker|bruker|modtager|bruger)
    |tuntematon\ (?:vastaanottaja|k\w{1,2}ytt\w{1,2}j\w{1,2})|(?:vastaanottajaa|k\w{1,2}ytt\w{1,2}j\w{1,4}|osoitetta)\ ei\ l\w{1,2}ydy
    |(?:ismeretlen|nincs\ ilyen)\ (?:felhaszn\w{1,2}l\w{1,2}|c\w{1,2}mzett|postafi\w{1,2}k)
    |(?:felhaszn\w{1,2}l\w{1,2}|c\w{1,2}mzett|postafi\w{1,2}k)\ nem\ (?:l\w{1,2}tezik|tal\w{1,2}lhat\w{1,2})
    |(?:utilizator(?:ul)?|destinatar(?:ul)?)\b[^.;\n]{0,20}(?:inexistent|necunoscut|nu\ exist)
    |(?:u\u017eivatel|p\u0159\xedjemce|pou\u017e\xedvate\u013e|pr\xedjemca|adresa)\b[^.;\n]{0,40}(?:neexistuje|nezn\xe1m|nebyl\w?\ nalezen)
        |nezn\xe1m[y\xfd]\ (?:u\u017eivatel|p\u0159\xedjemce|adres\xe1t|pou\u017e\xedvate\u013e|pr\xedjemca)
    |no\ se\ (?:encontr\xf3|encuentra|ha\ encontrado|pudo\ encontrar)\ la\ direcci\xf3n\ de\ correo
    |impossibile\ trovare\ l'indirizzo\ (?:di\ posta|e-?mail)|endere\xe7o\ de\ e-?mail\b[^.;\n]{0,40}n\xe3o\ (?:foi|p\xf4de\ ser)\ encontrad
    |nie\ mo\u017cna\ (?:odnale\u017a\u0107|znale\u017a\u0107)\ [^.;\n]{0,20}adresu\ e-?mail|e-?postadressen?\b[^.;\n]{0,40}(?:gick\ inte\ att\ hitta|hittades\ inte|ble\ ikke\ funnet)
    |(?:e-?)?mail-?adressen?\b[^.;\n]{0,40}(?:blev\ ikke\ fundet|findes\ ikke|konnte\ nicht\ gefunden)
    |s\xe4hk\xf6postiosoitetta\ ei\ l\xf6y|e-?mail-?c\xedm\ nem\ (?:tal\xe1lhat\xf3|l\xe9tezik)|adresa\ de\ e-?mail\b[^.;\n]{0,30}nu\ (?:a\ fost\ g\u0103sit|exist)
    """,
    re.VERBOSE,
)
NO_SUCH_HOST: Final = re.compile(
    r"""
    (?:host|domain|name\ server|mail\ server|site)(?:\ name)?\b[^.;\n]{0,40}?\b(?:unknown|not\ found
        |does\ ?n[o']?t\ exist|not\ exist|non-?existent|invalid)
    |(?:unknown|no\ such|invalid|bad|illegal|non-?existent)\ (?:host|domain|destination\ (?:host
        |domain))(?!\ keys?)
    |couldn't\ find\ any\ host|could\ not\ find\ (?:any\ )?(?:host|domain)
        |nxdomain|no\ dns\ (?:data|entry)\ for
    |mail\ exchanger\ or\ ip\ address|unrouteable\ (?:mail\ )?domain|\b(?:host|domain)\ \S{1,255}\ (?:is\ |was\ )?(?:unknown|not\ found|does\ not\ exist)
    |\bno\ (?:a|mx)\ (?:or\ (?:a|mx)\ )?records?\ (?:found|for)|domain\ \S{1,100}\ (?:couldn't
        |could\ not)\ be\ found
    """,
    re.VERBOSE,
)
# What stands beside words of an unknown user and makes them mean something else.
SOMETHING_ELSE: Final = re.compile(
    r"""
    quota|mail\ ?box\ (?:is\ |was\ )?(?:full|size|exceeded)|full\ mail\ ?box|(?:mail\ ?box|account|inbox
        |folder)\b[^.;\n]{0,25}\bfull|out\ of\ (?:storage|space)|insufficient|disk\ space|too\ (?:big
        |large|long)|size\ (?:limit|exceed)|exceed(?:s|ed)?\b|over\ (?:the\ )?(?:limit|allowed)
    |\bspam|unsolicited|\bbulk\ (?:mail|e-?mail)|black ?-?list|block ?-?list|deny ?list|\brbl\b|dnsbl
        |spamhaus|spamcop|barracuda|reputation|\bvirus|malware|phish|infected
    |\bblocked\b|\bblocking\b|\bbanned\b|prohibit|policy|policies|\bspf\b|\bdkim\b|\bdmarc\b|\bptr\b
        |reverse\ dns|not\ (?:allowed|authori[sz]ed|permitted|accepted\ from)|unauthori[sz]ed
        |access\ denied|permission|denied\ by|rejected\ (?:by|due|because|for)\ (?:policy|spam|content
        |your)
    |relay(?:ing)?\ (?:access\ )?(?:denied|not|is\ not|prohibited|disallowed)|unable\ to\ relay
        |cannot\ relay|not\ permitted\ to\ relay|we\ do\ not\ relay|relaying
    |gr[ae]y-?list|rate\ ?-?limit|too\ many|too\ fast|throttl|try\ (?:again|later)|temporar
        |later\b[^.]{0,20}again|timed?\ ?-?out|deferred|connection\ (?:refused|reset|lost)|resources
    |not\ accepting|does\ not\ accept|doesn't\ accept|restricted|restriction|expired|(?:only|non-?)\ ?members?\b|members?[\ -]only
    |sender\b[^.;\n]{0,40}(?:unknown|invalid|rejected|not\ (?:exist|found|be\ found|valid|verif)
        |does\ ?n[o']?t\ exist|verif|denied|unverif)|(?:invalid|unknown|bad|unverified|unroute?able)\ sender
        |verif(?:y|ication)\ (?:sender|failed)|from\ address|return\ path|(?<![->]>\ )mail\ from|reverse-?path|envelope\ from
    |authenticat|certificate|\btls\b|starttls|helo|ehlo|syntax\ error
    |\byour\ (?:\w{1,12}\ )?(?:server|host|hostname|ip|domain|isp|network|provider|client)\b
        |(?:(?<!exchanger\ or\ )\bip|source|client|remote|sending|connecting|helo)\ address|(?:you\ are|sender\ is)\ not\b
        |recipient'?s?\ (?:address\ book|contacts?|safe|allow|white)|white\ ?-?list|allow\ ?-?list|(?:sender|callout|callback)\ verif
    |(?:bad|invalid|missing|malformed|duplicate|no|illegal|required|many)\ (?:\w{1,20}\ )?headers?\b
        |\bheaders?\ (?:field|line|syntax|missing|error|is|are|too|contains?|check)
    |attachments?\ (?:type|size|not|name|block|remov|contain|reject|filter|(?:is|are|was|were)\ (?:not|too|block|forbid|reject))
        |(?:executable|dangerous|illegal|prohibited|blocked|bad|infected|your)\ attachments?
    |content\ (?:filter|rejected|block)|other\ mail\ system|recipient\ preferences|suppress(?:ed|ion)\b|mailbox\ unavailable\b[^.]{0,40}policy|loop|too\ many\ hops|hop\ count|mail\ for\ \S{1,200}\ loops
    |command\ output|procmail|maildrop|permission\ denied|can't\ create|couldn't\ create|i/o\ error
        |internal\ (?:software|server)?\ ?error|configuration\ error|config\ error|local\ configuration
    |\bbloqu|\bblocca|\bblockiert|\bgesperrt|\bfiltr[eo]\b|\bzablokowan|suspen[ds][aiou]
    |"""
    + f"{nonexistence.NOT_GONE}|{nonexistence.FOR_NOW}",
    re.VERBOSE,
)
# An account that is there and was taken from its user, whatever code is given for that.
SUSPENDED: Final = re.compile(
    r"\b(?:disabled|deactivated|suspended|frozen|locked|dormant|hibernated|parked|paused)\b"
)
# An account that may be there and come back; only a code for an unknown address outweighs it.
ASLEEP: Final = re.compile(
    r"disabled|deactivated|inactive|not active|suspend|\bfrozen\b|\blocked\b|over due|discontinued"
    + f"|{nonexistence.RESTS}"
)
# An account that is there, or a question nobody answered: the same holds for these.
NOT_GONE: Final = re.compile(
    r"subscri|\bin (?:the )?(?:from|sender|reply-to)\b|\bon hold\b|\bldap\b|look-?up (?:has )?(?:fail|error|problem)"
    r"|(?:fail\w{0,4}|error) (?:in|during|of) (?:\w{1,20} )?look-?up|\blimit(?!ed\b)|\bvacation\b|\bforward(?:ed|ing)\b|unverified|not (?:yet )?verified"
    r"|over (?:its |the |their )?(?:size|storage|allocation)|\bmoderat"
)
# What another command than RCPT was answered with speaks of the sender or the message, whatever its words and code.
OTHER_COMMAND: Final = re.compile(
    r"(?:after|to|at|of|following) (?:the )?end[- ]of[- ](?:the )?(?:data|message|mail)\b|\bend of data\b"
    r"|(?:after|when) (?:i|we) (?:sent|send|transferred) the (?:message|data)|error after (?:sending )?data"
    r"|>>> (?:\.|\(end of message\)|\[eod\]) <<< 5\d\d|failed on data command|for text command"
    r"|does not like sender|(?:after|for|in reply to) (?:pipelined )?(?:mail from|helo|ehlo)\b"
    r"|(?:>>>|-->) (?:mail from|helo|ehlo)\b[^<>]{0,200}(?:<<<|<--) 5\d\d|\bsent: mail from\b[^~]{0,100}?\breplied: 5\d\d"
)
# The same, but that those who pipeline (RFC 2920) read the answer to RCPT only after they said DATA.
AT_DATA: Final = re.compile(
    r">>> data <<< (?!503)5\d\d(?!.{0,600}<<< 5\d\d[^<]{0,60}(?:rcpt|recipient))|smtp command data"
    r"|after data\b|(?:reply|response) to data\b"
)
# What is added for politeness and says nothing: to check one's spelling and to try again, to ask for help.
POLITE: Final = re.compile(
    r"(?:please |kindly )?(?:double-?)?(?:check|verify|correct)(?:ing)?\b[^.;]{0,160}\btry(?:ing)?\b[^.;]{0,40}\bagain"
    r"|(?:please )?try (?:re)?sending (?:it |the message |your message )?again\b"
    r"|(?:if|should) you (?:have|need|feel|believe)[^.]{0,160}|for (?:more|further) (?:information|assistance|help)[^.]{0,120}"
    r"|this (?:e-?mail|message|communication)[^.]{0,60}\b(?:confidential|privileged)[^~]{0,600}"
    r"|invalid address, error_code\b"
    r"|\b(?:has been|was) (?:\w{1,12} )?(?:scanned|checked|swept) (?:for|by|using|with)\b"
    r"(?![^~]{0,300}(?:reject|block|refus|den[iy]|detect|found|infect|classif|identif|consider|quarantin|junk|as spam))[^.~]{0,200}"
    + f"|{nonexistence.REQUEST}"
)
FULL: Final = re.compile(
    r"quota|disk space|mail ?(?:box|folder) (?:is )?full|full mail ?box"
    r"|(?:postfach|mailbox)\b[^.\n]{0,30}\bvoll\b|bo\xeete\b[^.\n]{0,30}(?:pleine|satur\xe9e)|buz\xf3n\b[^.\n]{0,30}llen[oa]"
    r"|casella\b[^.\n]{0,40}\bpiena|caixa\b[^.\n]{0,40}\bcheia|postvak\b[^.\n]{0,40}\bvol\b|skrzynka\b[^.\n]{0,40}(?:pe\u0142na|przepe\u0142n)"
    r"|\u044f\u0449\u0438\u043a\b[^.\n]{0,30}\u043f\u0435\u0440\u0435\u043f\u043e\u043b\u043d|\u043f\u0435\u0440\u0435\u043f\u043e\u0432\u043d\u0435\u043d|(?:postl\xe5da|postkasse|postboks)\b[^.\n]{0,30}\bfull?d?\b|postilaatikko on t\xe4ynn\xe4"
    r"|schr\xe1nka\b[^.\n]{0,30}\bpln\xe1|posta kutusu dolu|postal\xe1d\w{1,4} megtelt|cutia po\u0219tal\u0103\b[^.\n]{0,30}plin\u0103"
    r"|\u30e1\u30fc\u30eb\u30dc\u30c3\u30af\u30b9\u304c\u3044\u3063\u3071\u3044|[\u90ae\u4fe1]\u7bb1\u5df2[\u6ee1\u6eff]|\uac00\ub4dd"
)
LISTED: Final = re.compile(
    r"spamhaus|spamcop|barracuda|sorbs|senderscore|block ?-?list|black ?-?list|dnsbl|\brbl\b|reputation"
)
ABOUT_SENDER: Final = re.compile(r"\bfrom:|for sending|sender|originat|\byour\b|client|helo|ehlo")
NXDOMAIN: Final = re.compile(r"\bnxdomain\b")
TRANSIENT_DNS: Final = re.compile(
    r"malformed|unexpected|try again|temporar|timed? ?-?out|servfail|connection|lookup failure"
    r"|soft error|no route|network"
)
# It did not get there: whoever reports tried for as long as it tries, or the message went round.
ON_THE_WAY: Final = re.compile(
    r"in the queue too long|hop count|too many hops|routing loop|mail loop|retry time ?-?out|message expired|envelope expired|giving up$"
    r"|could not deliver for|multiple retries|failing for a long time|connection (?:timed ?-?out|refused|reset|lost)"
    r"|(?:requests|unable|failed|could ?n[o']t) to connect|(?:not |un)reachable|(?:name service|name server|dns) (?:error|query failed|look-?up fail)"
    r"|no route to host|network is down|name or service not known|no mx or a for domain|delivery failed \d+ attempts"
)
