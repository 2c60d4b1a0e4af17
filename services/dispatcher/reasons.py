"""Reasons in the field's words for what no server said: limits, the network, our own refusals."""

from typing import Final

from services.dispatcher.outcome import Outcome, RecipientReply
from shared.events.delivery import Reason, RecipientResult
from shared.mail import rfc3463


def _waits(code: str, message: str, action: str, category: str = "account") -> Reason:
    return Reason(code=code, message=message, category=category, retryable=True, suggested_action=action)


def _ends(code: str, message: str, action: str, category: str) -> Reason:
    return Reason(code=code, message=message, category=category, retryable=False, suggested_action=action)


NO_SLOT: Final = _waits(
    "no_slot",
    "all connections of the account are busy; the email waits for its turn",
    "none; raise the account's connections if the next hop allows more",
    "capacity",
)
ACCOUNT_DISABLED: Final = _waits(
    "account_disabled",
    "the SMTP account is disabled",
    "enable the account, or cancel the email",
)
ACCOUNT_DELETED: Final = _waits(
    "account_deleted",
    "the SMTP account was deleted",
    "cancel the email and submit it again through another account",
)
STOPPING: Final = _waits(
    "stopping",
    "the process was stopped before it could be sent",
    "none; it is tried again",
    "internal",
)
SECRET_UNREADABLE: Final = _waits(
    "account_secret_unreadable",
    "the account's secret cannot be read with the keyring in use",
    "restore the keyring the secret was sealed with, or set the account's password again",
)
EXPIRED: Final = _ends(
    "expired",
    "the deadline had passed before it could be sent",
    "submit it again if it is still wanted",
    "expired",
)
CONTENT_LOST: Final = _ends(
    "content_lost",
    "the email's content is missing from the content store or damaged",
    "restore the content store from its backup, then submit the email again",
    "content",
)
NOT_COMPOSED: Final = _ends(
    "not_composed",
    "the email cannot be written as a message; that is a fault of ours",
    "report it with the email's id; submit the email again without what the log names",
    "internal",
)
SUPPRESSED: Final = _ends(
    "suppressed",
    "every recipient is on the workspace's suppression list; nothing was sent",
    "remove the address from the suppression list if it should get mail again, then submit the email again",
    "suppressed",
)
CONTENT_UNAVAILABLE: Final = _waits(
    "content_unavailable",
    "the content store does not answer",
    "none; it is tried again when the content store is back",
    "internal",
)
UNCONFIRMED: Final = _ends(
    "unconfirmed",
    "the connection ended before the answer to the message; it may or may not have been accepted",
    "look at the next hop's log by Message-ID; resend if it was not accepted",
    "ambiguous",
)
HOLDER_DIED: Final = _ends(
    "unconfirmed",
    "the process that was sending it ended without an outcome; it may or may not have been accepted",
    "look at the next hop's log by Message-ID; resend if it was not accepted",
    "ambiguous",
)


def rate_limited(limit: str) -> Reason:
    """Return the reason for waiting because of the account's own limit, such as `per_day`."""
    return _waits(
        "rate_limited", f"the account's limit {limit} is reached", "none; raise the limit if it is wrong"
    )


def breaker_open(last_error: str) -> Reason:
    """Return the reason for not even trying: the account's server has not answered lately."""
    message = f"the account's server does not answer, so it is left alone for a while ({last_error})"
    return _waits("breaker_open", message, "check host, port and credentials with verify", "network")


_KINDS: Final = {
    "network": ("connection_lost", "network", "none; it is tried again"),
    "timeout": ("timeout", "network", "none; it is tried again"),
    "protocol": ("protocol_error", "network", "check that host and port speak SMTP"),
    "dns": ("dns_failed", "network", "check the account's host name"),
    "address_refused": (
        "address_refused",
        "network",
        "the operator must name the network in SENDLOG_ALLOW_NETWORKS",
    ),
    "certificate": (
        "tls_certificate",
        "tls",
        "check the server's certificate, or give the account its tls_ca",
    ),
    "tls_unavailable": ("tls_unavailable", "tls", "check the account's port and TLS mode"),
    "auth_unavailable": ("auth_unavailable", "authentication", "check the account's auth method"),
    "aborted": ("aborted", "internal", "none; it is tried again"),
}
_FINAL_KINDS: Final = {
    "invalid_address": ("invalid_address", "invalid_recipient", "correct the address"),
    "smtputf8_unsupported": (
        "smtputf8_unsupported",
        "invalid_recipient",
        "use an ASCII address, or an account whose server offers SMTPUTF8",
    ),
    "message_too_large": ("message_too_large", "message_too_large", "make the email smaller"),
    "content_lost": (
        "content_lost",
        "content",
        "restore the content store from its backup, then submit the email again",
    ),
}


def is_final_kind(outcome: Outcome) -> bool:
    """Say whether we refused it ourselves for a reason no later attempt will change."""
    return outcome.error_kind in _FINAL_KINDS


def of_no_reply(outcome: Outcome) -> Reason:
    """Return the reason where no reply decided: what the network did, or what we refused ourselves."""
    kind = outcome.error_kind or "network"
    message = f"{outcome.phase}: {outcome.error or 'the connection ended'}"
    if kind in _FINAL_KINDS:
        code, category, action = _FINAL_KINDS[kind]
        return _ends(code, message, action, category)
    code, category, action = _KINDS.get(kind, _KINDS["network"])
    if kind == "network" and outcome.phase in ("resolve", "connect", "banner"):
        code = "connection_failed"
    return _waits(code, message, action, category)


def of_result(result: RecipientResult) -> Reason:
    """Return the reason an earlier attempt gave for one recipient."""
    found = rfc3463.classify(result.smtp_code or 0, result.enhanced_code, result.text or "", "rcpt")
    return Reason(
        code=str(result.smtp_code or result.category or "failed"),
        enhanced_code=result.enhanced_code,
        category=result.category or found.category,
        message=f"{result.smtp_code or ''} {result.text or ''}".strip(),
        retryable=False,
        suggested_action=found.suggested_action,
    )


def of_reply(reply: RecipientReply) -> Reason:
    """Return the reason in a server's reply, classified by RFC 3463."""
    found = rfc3463.classify(reply.code, reply.enhanced, reply.text, reply.phase)
    return Reason(
        code=str(reply.code),
        enhanced_code=reply.enhanced,
        category=found.category,
        message=f"{reply.code} {reply.text}".strip(),
        retryable=found.retryable,
        suggested_action=found.suggested_action,
    )
