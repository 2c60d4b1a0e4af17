"""An account's linked IMAP mailbox on the command line: its options, how it is shown, and whether it can be read."""

import argparse
from collections.abc import Callable
from typing import Any

from cli import command
from cli.command import given
from cli.terminal import Terminal, clean


def add_fields(parser: argparse.ArgumentParser, *, new: bool) -> None:
    """Add the options; a password comes from a file only."""
    group = parser.add_argument_group("the mailbox in which replies and reports arrive")
    group.add_argument("--imap-host", metavar="HOST")
    group.add_argument("--imap-port", type=command.count, metavar="PORT")
    group.add_argument("--imap-tls", choices=("implicit", "starttls", "none"))
    group.add_argument("--imap-tls-ca-file", metavar="FILE", help="certificates to trust, in PEM")
    group.add_argument("--imap-auth", choices=("password", "xoauth2"))
    group.add_argument("--imap-username", metavar="NAME")
    group.add_argument("--imap-password-file", metavar="FILE", help="- is standard input")
    group.add_argument("--imap-mailbox", metavar="NAME", help="INBOX if not given")
    if not new:
        group.add_argument("--unlink-imap", action="store_true", help="read no mailbox any more")


def fields(arguments: argparse.Namespace, read: Callable[[str], str]) -> dict[str, Any] | None:
    """Return what was given of a mailbox, or None."""
    secret, authority = arguments.imap_password_file, arguments.imap_tls_ca_file
    found = given(
        host=arguments.imap_host,
        port=arguments.imap_port,
        tls=arguments.imap_tls,
        tls_ca=read(authority) if authority else None,
        auth=arguments.imap_auth,
        username=arguments.imap_username,
        password=read(secret).rstrip("\r\n") if secret else None,
        mailbox=arguments.imap_mailbox,
    )
    return found or None


def shown(account: dict[str, Any]) -> str:
    """Return the mailbox in one line, empty for none."""
    imap = account.get("imap")
    if not imap:
        return ""
    return clean(
        f"{imap['mailbox']} of {imap['username']} at {imap['host']}:{imap['port']}, TLS {imap['tls']}"
    )


def tell_checks(report: dict[str, Any], terminal: Terminal) -> None:
    """Print what a verification found of the mailbox."""
    mailbox = report.get("imap") or {"ok": True, "checks": ()}
    for check in mailbox["checks"]:
        word = "ok" if check["ok"] else "no" if mailbox["ok"] else "FAIL"
        said = "" if check["message"] == "ok" else f": {clean(check['message'])}"
        terminal.say(f"{terminal.status(word, 4)}  imap {clean(check['name'])}{said}")
