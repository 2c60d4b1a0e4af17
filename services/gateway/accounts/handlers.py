"""Handles the requests about accounts: load, decide, write to the bucket, answer.

A 201 holds at once on every replica, for readers catch up with the leader first; a change and a removal are
answered when every process that only watches has them too.
"""

import asyncio
import socket
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final

import msgspec
import nats

from services.gateway import identifiers, paging
from services.gateway.accounts import decisions, dkim_keys, dns_records, fields
from services.gateway.errors import CONFLICT, ApiError, Problem, invalid, not_found, unavailable
from services.gateway.request import Reply, Request
from shared.runtime import buckets, outgoing
from shared.runtime.configuration import Account, DkimKey, Workspace, account_key

VERIFY_SUBJECT: Final = "verify.accounts"
VERIFY_IMAP_SUBJECT: Final = "verify.mailboxes"
VERIFY_WITHIN: Final = 45.0
MAX_ACCOUNTS: Final = 1000


async def create(request: Request) -> Reply:
    """Open an account; the workspace's first one becomes its default."""
    account_id = identifiers.fresh()
    seal = _seal(request, account_id)
    account, problems = decisions.opened(account_id, request.workspace, request.data, seal, datetime.now(UTC))
    await _refuse(request, account, problems)
    account = await _with_keys(account, seal, {})
    await request.services.accounts.catch_up()
    if len(_mine(request)) >= MAX_ACCOUNTS:
        raise invalid([Problem("$", f"a workspace has at most {MAX_ACCOUNTS} accounts")])
    await request.services.accounts.put(account_key(request.workspace, account_id), account, revision=0)
    default_id = await _set_default(request, _chosen(account_id, request.data.default))
    return Reply(fields.shown(account, default_id))


async def list_(request: Request) -> Reply:
    """Return the workspace's accounts, oldest first."""
    await request.services.accounts.catch_up()
    page, meta = paging.cut(_mine(request), request.query, _place)
    default_id = await _default_id(request)
    return Reply([fields.shown(account, default_id) for account in page], meta=meta)


async def show(request: Request) -> Reply:
    """Return one account."""
    _, account = await _load(request)
    return Reply(fields.shown(account, await _default_id(request)))


async def change(request: Request) -> Reply:
    """Change one account; nobody's change is lost when two come at once."""
    wanted: fields.AccountChange = request.data
    made: dict[dkim_keys.Wanted, DkimKey] = {}
    while True:
        revision, account = await _load(request)
        seal = _seal(request, account.id)
        fresh, problems = decisions.changed(account, wanted, seal, datetime.now(UTC))
        await _refuse(request, fresh, problems)
        fresh = await _with_keys(fresh, seal, made)
        if await _is_put(request, fresh, revision):
            break
    default_id = await _set_default(request, _rechosen(account.id, wanted.default))
    await asyncio.sleep(buckets.SETTLED_AFTER)
    return Reply(fields.shown(fresh, default_id))


async def remove(request: Request) -> Reply:
    """Remove one account and return it as it was; mail that waits for it is deferred until its deadline."""
    _, account = await _load(request)
    shown = fields.shown(account, await _default_id(request))
    # The default first: a workspace must not name an account that is gone.
    await _set_default(request, lambda known: None if known == account.id else known)
    await request.services.accounts.delete(account_key(request.workspace, account.id))
    await asyncio.sleep(buckets.SETTLED_AFTER)
    return Reply(shown)


async def rotate_dkim(request: Request) -> Reply:
    """Make a key beside each that has none waiting. Raises: ApiError 409 when the account has no keys."""
    made: dict[dkim_keys.Wanted, DkimKey] = {}
    while True:
        revision, account = await _load(request)
        if not account.dkim_keys:
            problem = Problem("$.identities", "none of them asks for a DKIM key")
            raise ApiError(CONFLICT, "the account has no DKIM keys", [problem])
        await _make(dkim_keys.settled(account), _seal(request, account.id), made)
        fresh = dkim_keys.with_waiting(account, made.values(), datetime.now(UTC))
        if await _is_put(request, fresh, revision):
            return Reply(fields.shown(fresh, await _default_id(request)))


async def verify(request: Request) -> Reply:
    """Have a dispatcher and a tracker connect for real, ask DNS meanwhile, and return what they found.

    What waits and is in DNS is in force then.
    """
    _, account = await _load(request)
    asked = asyncio.create_task(dns_records.check(account.dkim_keys, request.services.nameservers))
    read = asyncio.create_task(_mailbox(request, account))
    try:
        report = await _connected(request, account)
        checks = dkim_keys.told(account.dkim_keys, await asked)
        await _put_in_force(request, account, {one.selector for one in checks if one.signs})
        return Reply(msgspec.structs.replace(report, dkim=checks, imap=await read))
    finally:
        asked.cancel()
        read.cancel()


async def _put_in_force(request: Request, account: Account, selectors: set[str]) -> None:
    """Sign with these keys from now on, on every dispatcher once this returns."""
    while any(key.waits and key.selector in selectors for key in account.dkim_keys):
        revision, account = await _load(request)
        fresh = dkim_keys.in_force(account, selectors, datetime.now(UTC))
        if await _is_put(request, fresh, revision):
            await asyncio.sleep(buckets.SETTLED_AFTER)
            return


async def _is_put(request: Request, account: Account, revision: int) -> bool:
    """Write the account; False when somebody else has changed it meanwhile."""
    try:
        key = account_key(request.workspace, account.id)
        await request.services.accounts.put(key, account, revision=revision)
    except buckets.Changed:
        return False
    return True


async def _mailbox(request: Request, account: Account) -> fields.MailboxVerified | None:
    if account.imap is None:
        return None
    question = {"workspace": request.workspace, "account_id": account.id}
    try:
        answer = await request.services.client.request(
            VERIFY_IMAP_SUBJECT, msgspec.json.encode(question), timeout=VERIFY_WITHIN
        )
        return msgspec.json.decode(answer.data, type=fields.MailboxVerified)
    except (nats.errors.Error, TimeoutError, OSError):
        silent = fields.Check("tracker", False, "no tracker answered; it is what reads linked mailboxes")
        return fields.MailboxVerified(False, [silent])


async def _connected(request: Request, account: Account) -> fields.Verified:
    question = {"workspace": request.workspace, "account_id": account.id}
    try:
        answer = await request.services.client.request(
            VERIFY_SUBJECT, msgspec.json.encode(question), timeout=VERIFY_WITHIN
        )
        return msgspec.json.decode(answer.data, type=fields.Verified)
    except (nats.errors.Error, TimeoutError, OSError) as error:
        raise unavailable("no dispatcher answered; try again") from error


async def _load(request: Request) -> tuple[int, Account]:
    """Return the account as the leader has it. Raises: ApiError, also for another workspace's."""
    found = await request.services.accounts.read(account_key(request.workspace, request.path["id"]))
    if found is None:
        raise not_found("account")
    return found


def _mine(request: Request) -> list[Account]:
    every = request.services.accounts.items().values()
    return sorted((account for account in every if account.workspace == request.workspace), key=_place)


def _place(account: Account) -> str:
    return f"{account.created_at:%Y-%m-%dT%H:%M:%S.%f}{account.id}"


def _seal(request: Request, account_id: str) -> decisions.Seal:
    return lambda secret: request.services.keyring.seal(secret, request.workspace, account_id)


async def _with_keys(
    account: Account, seal: decisions.Seal, made: dict[dkim_keys.Wanted, DkimKey]
) -> Account:
    """Return the account with every DKIM key it asks for; `made` remembers those of an earlier try."""
    await _make(dkim_keys.missing(account), seal, made)
    return dkim_keys.fitted(account, made.values())


async def _make(
    wanted: Iterable[dkim_keys.Wanted], seal: decisions.Seal, made: dict[dkim_keys.Wanted, DkimKey]
) -> None:
    for one in wanted:
        if one not in made:
            made[one] = await asyncio.to_thread(dkim_keys.new, one, seal, datetime.now(UTC))


async def _refuse(request: Request, account: Account, problems: list[Problem]) -> None:
    """Raise all problems, with where the host leads among them. Raises: ApiError."""
    places = [("$.host", account.smtp.host, account.smtp.port)]
    if account.imap is not None:
        places.append(("$.imap.host", account.imap.host, account.imap.port))
    for path, host, port in places:
        problems = [*problems, *await _misled(path, host, port, request.services.allowed)]
    if problems:
        raise invalid(problems)


async def _misled(path: str, host: str, port: int, allowed: outgoing.Networks) -> list[Problem]:
    if not decisions.is_literal(host):
        return []  # an address needs no resolver; a name is checked when somebody connects, and only then
    try:
        await outgoing.resolve(host, port, allowed)
    except outgoing.RefusedAddress as refused:
        return [Problem(path, str(refused))]
    except socket.gaierror:
        return [Problem(path, "is neither a host name nor an address")]
    return []


async def _default_id(request: Request) -> str | None:
    workspace = await request.services.workspaces.get(request.workspace)
    return workspace.default_account_id if workspace else None


def _chosen(account_id: str, wanted: bool | msgspec.UnsetType) -> Callable[[str | None], str | None]:
    """Return what a new account makes of the default: the first one becomes it."""
    return lambda known: account_id if wanted is True or known is None else known


def _rechosen(account_id: str, wanted: bool | msgspec.UnsetType) -> Callable[[str | None], str | None]:
    if wanted is True:
        return lambda _: account_id
    if wanted is False:
        return lambda known: None if known == account_id else known
    return lambda known: known


async def _set_default(request: Request, choose: Callable[[str | None], str | None]) -> str | None:
    """Write the workspace's default account if it changes, and return it."""
    workspaces, name = request.services.workspaces, request.workspace
    while True:
        # Without an entry there is nothing to guard: one that was removed has left a marker with a revision.
        fresh = Workspace(name=name, created_at=datetime.now(UTC))
        revision, known = await workspaces.read(name) or (None, fresh)
        chosen = choose(known.default_account_id)
        if chosen == known.default_account_id:
            return chosen
        try:
            await workspaces.put(
                name, msgspec.structs.replace(known, default_account_id=chosen), revision=revision
            )
            return chosen
        except buckets.Changed:
            continue
