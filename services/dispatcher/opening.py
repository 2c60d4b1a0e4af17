"""From a server's name to a session ready for mail: resolve, connect, banner, TLS, EHLO, AUTH.

TLS that an account asks for is never given up: whatever a server or a man in the middle says instead,
neither credentials nor mail leave in clear.
"""

import asyncio
import base64
import binascii
import socket
import ssl
import time
from functools import lru_cache
from typing import Literal

import msgspec
from aiosmtplib.auth import auth_login_encode, auth_plain_encode, auth_xoauth2_encode

from services.dispatcher.envelope import Extensions
from services.dispatcher.outcome import Kind, Phase, Record, Reply, SmtpError
from services.dispatcher.timeouts import Timeouts
from services.dispatcher.wire import Broken, Wire
from shared.events import delivery
from shared.runtime import outgoing


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """Where an account's mail goes and how to log in there.

    `secret` is the password, or the access token with `xoauth2`. `helo` is our own name. `tls_ca` is
    PEM text of authorities trusted beside the system's.
    """

    host: str
    port: int
    tls: Literal["implicit", "starttls", "none"] = "starttls"
    auth: Literal["password", "xoauth2", "none"] = "none"
    username: str = ""
    secret: str = ""
    helo: str = "localhost"
    tls_ca: str | None = None

    def __repr__(self) -> str:
        """Leave the secret out: reprs end up in logs."""
        return f"Server({self.username}@{self.host}:{self.port} tls={self.tls} auth={self.auth})"


class _Failed(Exception):
    """A step found out why there will be no session."""

    def __init__(self, kind: Kind, message: str, reply: Reply | None = None) -> None:
        super().__init__(message)
        self.kind, self.message, self.reply = kind, message, reply


class Opening:
    """The steps of opening one connection, and how far they came."""

    def __init__(self, server: Server, allowed: outgoing.Networks, timeouts: Timeouts) -> None:
        self._server, self._allowed, self._timeouts = server, allowed, timeouts
        self._loop = asyncio.get_running_loop()
        self._phase: Phase = "resolve"
        self.record = Record()
        self.address = f"{server.host}:{server.port}"
        self.extensions = Extensions()
        self.wire = Wire(self._loop)

    async def run(self) -> None:
        """Carry the steps out in order.

        Raises: SmtpError. The connection is closed then, and on cancellation.
        """
        try:
            await self._steps()
        except _Failed as failed:
            raise self._error(failed.kind, failed.message, failed.reply)
        except Broken as broken:
            raise self._error(broken.kind, broken.message)
        except BaseException:
            self.wire.abort()
            raise

    async def _steps(self) -> None:
        await self._connect(await self._resolve())
        if self._server.tls == "implicit":
            await self._secure()
        await self._banner()
        await self._ehlo()
        if self._server.tls == "starttls":
            await self._starttls()
            await self._ehlo()  # RFC 3207, 4.2: what was learned in clear may be forged
        if self._server.auth != "none":
            await self._authenticate()

    def conversation(self) -> delivery.Conversation:
        """Return what was said so far."""
        return delivery.Conversation(
            server=self.address, tls=self.wire.tls, phase=self._phase, lines=self.record.lines()
        )

    def _error(self, kind: Kind, message: str, reply: Reply | None = None) -> SmtpError:
        self.wire.abort()
        return SmtpError(self._phase, kind, message, self.conversation(), reply)

    async def _resolve(self) -> list[outgoing.Checked]:
        server = self._server
        try:
            async with asyncio.timeout(self._timeouts.resolve):
                return await outgoing.resolve(server.host, server.port, self._allowed)
        except outgoing.RefusedAddress as refused:
            raise _Failed("address_refused", str(refused))
        except TimeoutError:
            raise _Failed("timeout", f"no answer about {server.host} within {self._timeouts.resolve:g} s")
        except socket.gaierror as error:
            raise _Failed("dns", f"{server.host} does not resolve: {error.strerror or error}")

    async def _connect(self, addresses: list[outgoing.Checked]) -> None:
        """Try the checked addresses in their order, all within one time limit, shared out evenly."""
        self._phase = "connect"
        port, end = self._server.port, self._loop.time() + self._timeouts.connect
        reasons: list[str] = []
        kind: Kind = "network"
        for left, (family, address) in zip(range(len(addresses), 0, -1), addresses, strict=True):
            self.wire = Wire(self._loop)  # each try its own: nothing of one that failed is kept
            share = (end - self._loop.time()) / left
            try:
                async with asyncio.timeout(share):
                    await self._loop.create_connection(lambda: self.wire, address, port, family=family)
            except TimeoutError:
                kind = "timeout"
                reasons.append(f"{address}: no answer within {share:.3g} s")
            except OSError as error:
                kind = "network"
                reasons.append(f"{address}: {error.strerror or error}")
            else:
                self.address = f"{self._server.host}:{port} [{address}]"
                self.record.note(f"connect {address}:{port}", "connected")
                return
        raise _Failed(kind, f"no connection to port {port}: {'; '.join(reasons)}")

    async def _banner(self) -> None:
        self._phase = "banner"
        reply = await self.wire.reply(self._timeouts.command)
        self.record.add("(banner)", reply)
        self._must(reply, 220)

    async def _ehlo(self) -> None:
        """Say EHLO; HELO to a server too old for it, which then offers nothing."""
        self._phase = "ehlo"
        reply = await self._say("EHLO", self._server.helo)
        if reply.code in (500, 501, 502, 504):
            self._must(await self._say("HELO", self._server.helo), 250)
            self.extensions = Extensions()
            return
        self._must(reply, 250)
        self.extensions = Extensions.parse(reply.text)

    async def _starttls(self) -> None:
        self._phase = "tls"
        if not self.extensions.starttls:
            raise _Failed("tls_unavailable", "TLS is required and the server does not offer STARTTLS")
        reply = await self._say("STARTTLS")
        if reply.code != 220:
            raise _Failed("refused", f"TLS is required and the server refused STARTTLS: {reply}", reply)
        await self._secure()

    async def _secure(self) -> None:
        self._phase = "tls"
        timeout = self._timeouts.tls
        try:
            context = await asyncio.to_thread(_context, self._server.tls_ca)
            async with asyncio.timeout(timeout + 1):
                await self.wire.secure(context, self._server.host, timeout)
        except ssl.SSLCertVerificationError as error:
            raise _Failed("certificate", f"the certificate is not accepted: {error.verify_message}")
        except ssl.SSLError as error:
            raise _Failed("protocol", f"the TLS handshake failed: {error.reason or error}")
        except (TimeoutError, ConnectionAbortedError):
            raise _Failed("timeout", f"the TLS handshake did not end within {timeout:g} s")
        except OSError as error:
            raise _Failed(
                "network", f"the connection was lost in the TLS handshake: {error.strerror or error}"
            )
        self.record.note("(tls)", self.wire.tls or "")

    async def _authenticate(self) -> None:
        self._phase = "auth"
        server, offered = self._server, self.extensions.auth
        if server.tls != "none" and self.wire.tls is None:
            raise _Failed("tls_unavailable", "credentials are not sent without the TLS the account asks for")
        self.wire.hide(_hidden(server))
        if server.auth == "xoauth2":
            reply = await self._xoauth2(offered)
        elif "plain" in offered:
            reply = await self._plain()
            if reply.code == 504 and "login" in offered:  # offered, yet not understood
                reply = await self._login()
        elif "login" in offered:
            reply = await self._login()
        else:
            raise self._unavailable("neither PLAIN nor LOGIN")
        self._must(reply, 235)

    def _unavailable(self, what: str) -> _Failed:
        offers = " ".join(self.extensions.auth).upper() or "no AUTH at all"
        return _Failed("auth_unavailable", f"the server offers {what} (it offers {offers})")

    async def _plain(self) -> Reply:
        initial = auth_plain_encode(self._server.username, self._server.secret)
        return await self._say("AUTH", "PLAIN", initial.decode(), shown="AUTH PLAIN ***")

    async def _login(self) -> Reply:
        """Give the name only when asked: not every server takes it with the command."""
        reply = await self._say("AUTH", "LOGIN")
        for answer in auth_login_encode(self._server.username, self._server.secret):
            if reply.code != 334:
                break
            reply = await self._say(answer.decode(), shown="***")
        return reply

    async def _xoauth2(self, offered: tuple[str, ...]) -> Reply:
        """Log in with a token. A 334 holds the reason as base64 JSON; an empty line fetches the refusal."""
        if "xoauth2" not in offered:
            raise self._unavailable("no XOAUTH2")
        initial = auth_xoauth2_encode(self._server.username, self._server.secret)
        reply = await self._say("AUTH", "XOAUTH2", initial.decode(), shown="AUTH XOAUTH2 ***")
        if reply.code != 334:
            return reply
        try:
            detail = base64.b64decode(reply.text, validate=True).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            detail = reply.text
        refusal = await self._say("", shown="(empty)")
        return msgspec.structs.replace(refusal, line=f"{refusal.line} {detail}")

    async def _say(self, *words: str, shown: str | None = None) -> Reply:
        code, line = await self.wire.execute_command(
            *(word.encode() for word in words), timeout=self._timeouts.command
        )
        reply = Reply(code, line, time.monotonic())
        self.record.add(" ".join(words) if shown is None else shown, reply)
        return reply

    def _must(self, reply: Reply, code: int) -> None:
        if reply.code == code:
            return
        if reply.code >= 400:
            raise _Failed("refused", str(reply), reply)
        raise Broken("protocol", f"the server answered {reply}")


def _hidden(server: Server) -> tuple[str, ...]:
    """Return every form in which a server could echo the secret."""
    if not server.secret:
        return ()
    encoded = (
        auth_plain_encode(server.username, server.secret),
        auth_login_encode("", server.secret)[1],
        auth_xoauth2_encode(server.username, server.secret),
    )
    return (*(form.decode() for form in encoded), server.secret)


@lru_cache(maxsize=64)
def _context(extra: str | None) -> ssl.SSLContext:
    """Return the context for checked TLS; cached, for reading the system's authorities takes 20 ms."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    if extra:
        context.load_verify_locations(cadata=extra)
    return context
