"""A checked send object: everything about it that neither the time nor the configuration decides. Pure.

Whatever is bound for a header is checked here, after rendering, so a variable can no more end a header
line than the client's own text can. All problems are collected, each with its path.
"""

from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from services.gateway import identifiers
from services.gateway.emails import attachments, fields, rendering, times
from services.gateway.emails.attachments import File
from services.gateway.errors import Problem
from services.gateway.templates import css
from services.gateway.templates.entries import Source
from shared.events import email
from shared.mail import address, header
from shared.mail.address import Mailbox

_NUL: Final = "must not contain a NUL character"


class Draft(msgspec.Struct, frozen=True):
    """What the client wants sent, as values; `from_`, `account_id` and times are wishes still to be granted."""

    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...]
    bcc: tuple[Mailbox, ...]
    to_is_string: bool
    reply_to: tuple[Mailbox, ...]
    from_: Mailbox | None
    from_name: str | None
    subject: str
    html: str | None
    text: str | None
    headers: tuple[tuple[str, str], ...]
    scheduled_at: datetime | None
    expires_at: datetime | None
    account_id: str | None
    tracking: fields.Tracking | None
    tags: tuple[str, ...]
    metadata: dict[str, str]
    unsubscribe: bool
    attachments: tuple[File | email.Attachment, ...] = ()  # the latter are stored already
    source: Source | None = None


class Unusable(NamedTuple):
    """Somebody in `to`, `cc` or `bcc` whom no mail can be addressed to, as the client wrote it."""

    role: str
    address: str
    why: str


class Checker:
    """Turns the fields of one send object into values and collects what is wrong with them.

    `source` is the template that was found, or what is wrong with its name; its texts stand in for the client's.
    With `unusable` it notes recipients there who have no address, instead of calling the object wrong for them.
    """

    unusable: list[Unusable] | None = None

    def __init__(
        self,
        send: fields.Send,
        problems: list[Problem],
        path: str = "$",
        within: rendering.Work | None = None,
        source: Source | Problem | None = None,
    ) -> None:
        self.send = send
        self.source = None if isinstance(source, Problem) else source
        self.problems = problems
        self.templates: list[Problem] = [source] if isinstance(source, Problem) else []
        named = send.template_id is not None and send.variables is None
        self._variables = {} if named else send.variables
        self._work = rendering.Work(within=within)
        self._path = path
        self._wrong = [problem.path for problem in problems]

    def draft(self) -> Draft:
        """Return the checked values; they mean something only if `problems` and `templates` are empty."""
        send = self.send
        subject, html, text = self._texts()
        return Draft(
            *self._addressees(),
            isinstance(send.to, str),
            self._mailboxes("reply_to", send.reply_to),
            self._from(),
            self._from_name(),
            subject,
            html,
            text,
            self._headers() if send.headers else (),
            self._time("scheduled_at", send.scheduled_at) if send.scheduled_at is not None else None,
            self._time("expires_at", send.expires_at) if send.expires_at is not None else None,
            self._account_id() if send.smtp_account_id is not None else None,
            send.tracking,
            self._tags() if send.tags else (),
            self._metadata() if send.metadata else {},
            send.unsubscribe is True,
            self._attachments() if send.attachments else (),
            self.source,
        )

    def _say(self, field: str, message: str) -> None:
        self.problems.append(Problem(f"{self._path}.{field}", message))

    def _is_wrong(self, field: str) -> bool:
        return any(path.startswith(f"{self._path}.{field}") for path in self._wrong)

    def _texts(self) -> tuple[str, str | None, str | None]:
        """Return subject, html and text, rendered: the client's own, or the template's."""
        send = self.send
        if send.template_id is not None:
            for field in ("html", "text"):
                if getattr(send, field) is not None:
                    self._say(field, "comes from the template: give template_id or this, not both")
            if self.source is None:
                return "", None, None
        elif send.template_version is not None:
            self._say("template_version", "needs a template_id beside it")
        subject, html, text = self._subject(), self._body("html"), self._body("text")
        if html is None and text is None and not any(map(self._is_wrong, ("html", "text", "template_id"))):
            self._say("html", "is required, unless there is text")
        return subject, html, text

    def _given(self, field: str) -> tuple[str | None, bool]:
        """Return a text before it is rendered, and whether it is the template's."""
        own = getattr(self.send, field)
        if own is None and self.source is not None:
            return getattr(self.source.texts, field), True
        return own, False

    def _addressees(self) -> tuple[tuple[Mailbox, ...], tuple[Mailbox, ...], tuple[Mailbox, ...]]:
        send = self.send
        to = self._mailboxes("to", send.to)
        cc = self._mailboxes("cc", send.cc) if send.cc is not None else ()
        bcc = self._mailboxes("bcc", send.bcc) if send.bcc is not None else ()
        if not send.to and not self._is_wrong("to"):
            self._say("to", "is required" if send.to is None else "needs at least one recipient")
        if len(to) + len(cc) + len(bcc) < 2:
            return to, cc, bcc
        known: set[str] = set()
        to, cc, bcc = _once(to, known), _once(cc, known), _once(bcc, known)
        if len(known) > fields.MAX_RECIPIENTS:
            self._say(
                "to", f"there may be at most {fields.MAX_RECIPIENTS} recipients in to, cc and bcc together"
            )
        return to, cc, bcc

    def _mailboxes(self, field: str, given: str | list[str] | None) -> tuple[Mailbox, ...]:
        if not given:
            if given == "" and field != "to":
                self._say(field, "there is no address")
            return ()
        if isinstance(given, str):
            found = self._mailbox(field, given)
            return () if found is None else (found,)
        if len(given) > (fields.MAX_RECIPIENTS if field == "reply_to" else fields.MAX_LISTED):
            what = "addresses" if field == "reply_to" else "recipients in to, cc and bcc together"
            self._say(field, f"there may be at most {fields.MAX_RECIPIENTS} {what}")
            return ()
        several = (self._mailbox(f"{field}[{number}]", value) for number, value in enumerate(given))
        return tuple(mailbox for mailbox in several if mailbox is not None)

    def _mailbox(self, place: str, value: str) -> Mailbox | None:
        try:
            return address.parse(value)
        except address.AddressError as error:
            role = place.partition("[")[0]
            if self.unusable is not None and role in ("to", "cc", "bcc"):
                self.unusable.append(Unusable(role, value, str(error)))
            else:
                self._say(place, str(error))
            return None

    def _from(self) -> Mailbox | None:
        return None if self.send.from_ is None else self._mailbox("from", self.send.from_)

    def _from_name(self) -> str | None:
        name = self.send.from_name
        if name is not None and (problem := header.check_value(name, address.MAX_NAME)):
            self._say("from_name", problem)
        return name

    def _subject(self) -> str:
        given, is_templates = self._given("subject")
        if given is None:
            if not self._is_wrong("subject"):
                self._say(
                    "subject", "is required, for the template has none" if self.source else "is required"
                )
            return ""
        subject = self._rendered("subject", given)
        if problem := header.check_value(subject, header.MAX_SUBJECT):
            self.problems.append(self._in_text("subject", is_templates, problem))
        return subject

    def _body(self, field: str) -> str | None:
        given, is_templates = self._given(field)
        if not given:
            return None
        body = self._rendered(field, given)
        if "\0" in body:
            self.problems.append(self._in_text(field, is_templates, _NUL))
        return body

    def _in_text(self, field: str, is_templates: bool, message: str) -> Problem:
        """Return the problem where the client can mend it: at the variables when the text is the template's."""
        if is_templates and self.source is not None:
            return Problem(f"{self._path}.variables", f"{self.source.place(field)}: {message}")
        return Problem(f"{self._path}.{field}", message)

    def _rendered(self, field: str, given: str) -> str:
        if self._variables is None:
            return given
        is_templates = getattr(self.send, field) is None
        try:
            found = rendering.render(given, self._variables, html=field == "html", work=self._work)
            if field == "html" and self.source is not None and self.source.texts.css_inline:
                return css.inlined(found, self._work)
            return found
        except rendering.TemplateError as error:
            self.templates += [self._in_text(field, is_templates, problem) for problem in error.problems]
            return given

    def _headers(self) -> tuple[tuple[str, str], ...]:
        given = self.send.headers or {}
        if problem := header.too_many(given):
            self._say("headers", problem)
            return ()
        for name, problem in header.problems(given):
            self.problems.append(Problem(f"{self._path}.headers[{fields.quoted(name)}]", problem))
        return tuple(given.items())

    def _time(self, field: str, given: str) -> datetime | None:
        try:
            return times.parse(given)
        except times.TimeError as error:
            self._say(field, str(error))
            return None

    def _account_id(self) -> str | None:
        found = identifiers.as_uuid(self.send.smtp_account_id or "")
        if found is None:
            self._say("smtp_account_id", "must be a UUID")
        return found

    def _tags(self) -> tuple[str, ...]:
        given = self.send.tags or []
        if len(given) > fields.MAX_TAGS:
            self._say("tags", f"there may be at most {fields.MAX_TAGS} tags")
            return ()
        for number, tag in enumerate(given):
            if problem := header.check_value(tag, fields.MAX_TAG) or (None if tag else "must not be empty"):
                self._say(f"tags[{number}]", problem)
        return tuple(dict.fromkeys(given))

    def _attachments(self) -> tuple[File, ...]:
        return attachments.read(self.send.attachments or (), f"{self._path}.attachments", self.problems)

    def _metadata(self) -> dict[str, str]:
        given = self.send.metadata or {}
        if len(given) > fields.MAX_PAIRS:
            self._say("metadata", f"there may be at most {fields.MAX_PAIRS} pairs")
            return {}
        for key, value in given.items():
            if problem := _wrong_pair(key, value):
                self.problems.append(Problem(f"{self._path}.metadata[{fields.quoted(key[:80])}]", problem))
        return given


def _once(mailboxes: tuple[Mailbox, ...], known: set[str]) -> tuple[Mailbox, ...]:
    """Return who is not known as a recipient yet: each gets one copy, in the first role it has."""
    kept = []
    for mailbox in mailboxes:
        normalised = address.normalised(mailbox.address)
        if normalised not in known:
            known.add(normalised)
            kept.append(mailbox)
    return tuple(kept)


def _wrong_pair(key: str, value: str) -> str | None:
    if "\0" in key or "\0" in value:
        return _NUL
    if not 1 <= len(key) <= fields.MAX_KEY:
        return f"the name must have 1 to {fields.MAX_KEY} characters"
    if len(value) > fields.MAX_VALUE:
        return f"is longer than {fields.MAX_VALUE} characters"
    return None
