"""All lanes of this dispatcher: opened when an account has mail, closed when it has none, kept current.

An account's change reaches its lane with the next record; its connections are a lease, not a setting.
"""

import asyncio
import uuid

import structlog

from services.dispatcher import leases, limits, metrics
from services.dispatcher.lanes import Lane
from services.dispatcher.opening import Server
from services.dispatcher.pool import Pool
from shared.mail.dkim import Signer
from shared.runtime import configuration, outgoing, process, signing
from shared.runtime.buckets import Bucket
from shared.runtime.configuration import Account, DkimKey, Smtp
from shared.runtime.instrumenting import Origin
from shared.runtime.keyring import Keyring, KeyringError
from shared.runtime.tokens import Tokens

logger = structlog.get_logger(__name__)
SWEEP = 5.0
NOWHERE = Server(host="nowhere.invalid", port=25)


class House:
    """The lanes by workspace and account."""

    def __init__(
        self,
        me: str,
        accounts: Bucket[Account],
        lease_bucket: Bucket[leases.Leases],
        ledgers: Bucket[limits.Ledger],
        keyring: Keyring,
        allowed: outgoing.Networks,
        helo: str,
    ) -> None:
        self._me = me
        self._accounts, self._leases, self._ledgers = accounts, lease_bucket, ledgers
        self._keyring, self._allowed, self._helo = keyring, allowed, helo
        self._tokens = Tokens(keyring)
        self._lanes: dict[str, Lane] = {}
        metrics.HELD.set_function(lambda: sum(lane.held for lane in self._lanes.values()))

    async def lane(self, workspace: str, account_id: str) -> Lane:
        """Return the account's lane, as the account is now. Raises: BrokerUnavailable."""
        key = configuration.account_key(workspace, account_id)
        account = await self._accounts.get(key)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._open(key, account)
        elif account is not lane.account:
            self._change(lane, account)
        return lane

    def server(self, account: Account) -> Server:
        """Return how to reach an account's server, its secret opened. Raises: KeyringError."""
        smtp = account.smtp
        secret = self._keyring.open(smtp.secret, account.workspace, account.id) if smtp.secret else ""
        return Server(
            host=smtp.host,
            port=smtp.port,
            tls=smtp.tls,
            auth=smtp.auth,
            username=smtp.username or "",
            secret=secret,
            helo=self._helo,
            tls_ca=smtp.tls_ca,
        )

    def signer(self, account: Account, from_address: str) -> Signer | None:
        """Return what signs this sender's mail, if it is to be signed. Raises: KeyringError."""
        return signing.signer_for(account, from_address, self._keyring)

    def origin(self, workspace: str, email_id: str) -> Origin:
        """Return what an email's links and handles are made with."""
        return Origin(self._tokens, workspace, email_id)

    def check_keys(self, account: Account) -> None:
        """See that mail which is to be signed can be. Raises: KeyringError."""
        signing.check(account, self._keyring)

    async def sweep_for_ever(self) -> None:
        """Close lanes without work, so that their connections are free for other dispatchers."""
        while True:
            await asyncio.sleep(SWEEP)
            await self.sweep()

    async def sweep(self) -> None:
        """Close every lane that is without work when its turn comes."""
        for key, lane in list(self._lanes.items()):
            # Asked only now: while an earlier one was closed, this one may have got mail.
            if lane.is_idle(asyncio.get_running_loop().time()):
                await self._close(self._lanes.pop(key))

    async def close(self) -> None:
        """Close every lane and give its connections back."""
        for lane in self._lanes.values():
            await self._close(lane)
        self._lanes.clear()

    def _open(self, key: str, account: Account | None) -> Lane:
        server = self._server_or_none(account)
        lane = Lane(
            account, Pool(server or NOWHERE, 0, allowed=self._allowed), limits.Limiter(self._ledgers, key)
        )
        lane.secret_readable = server is not None
        holder = (
            f"{self._me}-{uuid.uuid4().hex[:8]}"  # a lane just closed must not give up the next one's share
        )
        lane.lease = leases.Lease(self._leases, key, holder, lane)
        lane.lease_task = asyncio.create_task(lane.lease.keep(), name=f"lease-{key}")
        self._lanes[key] = lane
        return lane

    def _change(self, lane: Lane, account: Account | None) -> None:
        known, lane.account = lane.account, account
        if account and (known is None or _secrets(known) != _secrets(account)):
            server = self._server_or_none(account)
            lane.secret_readable = server is not None
            lane.pool.reconfigure(server or NOWHERE)
            lane.breaker.succeeded()

    def _server_or_none(self, account: Account | None) -> Server | None:
        if account is None:
            return None
        try:
            self.check_keys(account)
            return self.server(account)
        except KeyringError as error:
            logger.error("account_secret_unreadable", account_id=account.id, error=str(error))
            return None

    async def _close(self, lane: Lane) -> None:
        if lane.lease_task:
            await process.end(lane.lease_task)
        await lane.pool.close()
        if lane.lease:
            await lane.lease.release()


def _secrets(account: Account) -> tuple[Smtp, tuple[DkimKey, ...]]:
    return account.smtp, account.dkim_keys
