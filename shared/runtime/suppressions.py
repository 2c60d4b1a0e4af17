"""The suppression lists: one entry of a KV bucket for each (workspace, address), under a keyed hash of the address.

Truth is the bucket at its leader, asked at sending and never kept in memory: what an `add` has returned for is in
force for every question asked after it, on every replica, and a million entries cost no process anything.

The hash is keyed, so that erasing an address and keeping its hash leaves nothing that could be guessed back. Its
key is random and lies in the bucket itself, sealed by the keyring: derived from a keyring key it would be lost,
and every list with it without a word, when that key is dropped after a rotation. So it is sealed anew instead.
"""

import base64
import hmac
import secrets
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

import msgspec
import nats
import structlog
from nats.aio.client import Client

from shared.mail import address
from shared.runtime import bulk, topology
from shared.runtime.appending import WRONG_LAST_SEQUENCE
from shared.runtime.keyring import Keyring
from shared.runtime.latest import Latest, Latests
from shared.runtime.log import BrokerUnavailable, Inbox

logger = structlog.get_logger(__name__)
Cause: TypeAlias = Literal["bounce", "complaint", "unsubscribe", "manual"]
CAUSES: Final[tuple[str, ...]] = get_args(Cause)
STREAM: Final = f"KV_{topology.SUPPRESSIONS}"
PREFIX: Final = f"$KV.{topology.SUPPRESSIONS}."
HASH_KEY: Final = f"{PREFIX}hash_key"
_BOUND: Final = ("", "suppressions")  # no workspace's and no account's


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why nothing is sent to an address. `email` is as it was given; None once the address was erased."""

    email: str | None
    reason: Cause
    detail: str | None = None
    created_at: datetime


def _entry(data: bytes) -> Entry:
    """Return an entry; one that this version cannot read says at least that nothing may be sent.

    It must not fail the others that were asked about with it.
    """
    try:
        return decode(data)
    except msgspec.MsgspecError as error:
        logger.error("suppression_unreadable", error=str(error))
        return Entry(email=None, reason="manual", detail="its entry cannot be read", created_at=_UNKNOWN)


class Stored(NamedTuple):
    """An entry with the sequence a change of it has to name."""

    sequence: int
    entry: Entry


Place: TypeAlias = tuple[str, str]  # workspace and address
_encode: Final = msgspec.json.Encoder().encode
_UNKNOWN: Final = datetime.fromtimestamp(0, UTC)
decode: Final = msgspec.json.Decoder(Entry).decode


class Suppressions:
    """Reads and writes the lists. Every method raises BrokerUnavailable when the bucket cannot be asked."""

    def __init__(self, client: Client, ring: Keyring) -> None:
        self._client, self._ring = client, ring
        self._inbox = Inbox(client)
        self._latests = Latests(client, STREAM, HASH_KEY)
        self._key = b""

    async def open(self) -> None:
        """Get the hash key, making it if there is none; call once. Raises: also KeyringError."""
        await self._inbox.open()
        await self._latests.open()
        while not self._key:
            self._key = await self._hash_key()

    async def find(self, workspace: str, addresses: Collection[str]) -> dict[str, Entry]:
        """Return the entries of those addresses that are suppressed, by the address as it was asked for."""
        found = await self.find_all((workspace, one) for one in addresses)
        return {one: entry for (_, one), entry in found.items()}

    async def find_all(self, places: Iterable[Place]) -> dict[Place, Entry]:
        """Return the entries of what is suppressed, of several workspaces by one question."""
        subjects = {place: self._subject(*place) for place in places}
        latest = await self._latests.of(sorted(set(subjects.values())))
        return {
            place: _entry(known.data)
            for place, subject in subjects.items()
            if (known := latest.get(subject)) is not None and known.data is not None
        }

    async def get(self, workspace: str, email: str) -> Stored | None:
        """Return one entry."""
        subject = self._subject(workspace, email)
        known = (await self._latests.of([subject])).get(subject)
        return None if known is None or known.data is None else Stored(known.sequence, decode(known.data))

    async def add(
        self, workspace: str, email: str, reason: Cause, detail: str | None = None
    ) -> tuple[Entry, bool]:
        """Return the address's entry and whether it is new; in force when this returns.

        An entry that is there stays as it is, whatever the reason: it says why nothing has been sent since then.
        """
        entry = Entry(email=email, reason=reason, detail=detail, created_at=datetime.now(UTC))
        subject = self._subject(workspace, email)
        guard = 0
        while True:
            if await self._put(subject, _encode(entry), guard):
                return entry, True
            known = (await self._latests.of([subject])).get(subject, Latest(0, None))
            if known.data is not None:
                return decode(known.data), False
            guard = known.sequence

    async def add_all(self, workspace: str, entries: Sequence[Entry]) -> list[bool]:
        """Add up to `bulk.LIMIT` entries; say of each whether it is new. What is there stays as it is."""
        subjects = [self._subject(workspace, entry.email or "") for entry in entries]
        first = {subject: place for place, subject in reversed(list(enumerate(subjects)))}
        while True:
            latest = await self._latests.of(list(first))
            missing = [
                place for subject, place in first.items()
                if (known := latest.get(subject)) is None or known.data is None
            ]  # fmt: skip
            guards = {subject: known.sequence for subject, known in latest.items()}
            items = [
                bulk.Item(subjects[place], _encode(entries[place]), guards.get(subjects[place], 0))
                for place in sorted(missing)
            ]
            try:
                if items:
                    await bulk.write(self._client, self._inbox, items)
            except bulk.Overtaken:
                continue
            new = set(missing)
            return [place in new for place in range(len(entries))]

    async def change(self, workspace: str, email: str, entry: Entry, sequence: int) -> bool:
        """Put this in the place of the entry with that sequence; False when somebody else was first."""
        return await self._put(self._subject(workspace, email), _encode(entry), sequence)

    async def remove(self, workspace: str, email: str) -> Entry | None:
        """Take the address off the list and return the entry as it was, if there was one."""
        while True:
            known = await self.get(workspace, email)
            if known is None:
                return None
            if await self._put(self._subject(workspace, email), None, known.sequence):
                return known.entry

    def hashed(self, workspace: str, email: str) -> str:
        """Return what stands for an address: addresses that differ in spelling only have the same."""
        assert self._key, "open first"
        return hmac.digest(self._key, f"{workspace}\n{_normalised(email)}".encode(), "sha256").hex()

    def _subject(self, workspace: str, email: str) -> str:
        return f"{PREFIX}{workspace}.{self.hashed(workspace, email)}"

    async def _put(self, subject: str, data: bytes | None, guard: int) -> bool:
        """Write an entry (None: remove it) if the subject's last sequence is still `guard`."""
        head = {"Nats-Expected-Last-Subject-Sequence": str(guard)}
        if data is None:
            head["KV-Operation"] = "DEL"
        try:
            await self._client.jetstream(timeout=3).publish(subject, data or b"", headers=head)
        except nats.js.errors.APIError as error:
            if error.err_code in WRONG_LAST_SEQUENCE:
                return False
            raise BrokerUnavailable(f"suppressions: {error!r}") from error
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise BrokerUnavailable(f"suppressions: {error!r}") from error
        return True

    async def _hash_key(self) -> bytes:
        """Return the key of the hashes; nothing when somebody else was just making or sealing it."""
        try:
            known = await self._client.jetstream(timeout=5).get_msg(STREAM, subject=HASH_KEY, direct=False)
        except nats.js.errors.NotFoundError:
            fresh = base64.b64encode(secrets.token_bytes(32)).decode()
            made = await self._put(HASH_KEY, self._ring.seal(fresh, *_BOUND).encode(), 0)
            return base64.b64decode(fresh) if made else b""
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise BrokerUnavailable(f"suppressions: {error!r}") from error
        sealed = (known.data or b"").decode()
        opened = self._ring.open(sealed, *_BOUND)
        if not self._ring.is_current(sealed) and not await self._put(
            HASH_KEY, self._ring.seal(opened, *_BOUND).encode(), known.seq or 0
        ):
            return b""
        return base64.b64decode(opened)


def _normalised(email: str) -> str:
    try:
        return address.normalised(email)
    except address.AddressError:  # no domain: whoever sends to it is told so by somebody else
        return email.lower()
