"""Seal the secrets of all accounts with the keyring's current key: `python -m services.gateway.reseal`.

For after a rotation, once every process has been restarted with the new keyring; safe to run again and beside
live traffic: an account that somebody changes meanwhile is looked at once more.
"""

import asyncio
import os
import sys
from pathlib import Path

from services.gateway.accounts import resealing
from services.gateway.settings import Connections
from shared.runtime import buckets, keyring, log, settings, topology
from shared.runtime.buckets import Bucket
from shared.runtime.configuration import Account
from shared.runtime.keyring import Keyring, KeyringError
from shared.runtime.log import BrokerUnavailable


async def reseal(accounts: Bucket[Account], ring: Keyring) -> tuple[int, list[str]]:
    """Return how many accounts were sealed anew, and what could not be opened."""
    done, faults = 0, []
    for key in accounts.items():
        try:
            done += await _one(accounts, key, ring)
        except KeyringError as error:
            faults.append(f"{key}: {error}")
    return done, faults


async def _one(accounts: Bucket[Account], key: str, ring: Keyring) -> bool:
    while (found := await accounts.read(key)) is not None:
        revision, account = found
        fresh = resealing.resealed(account, ring)
        if fresh is account:
            return False
        try:
            await accounts.put(key, fresh, revision=revision)
            return True
        except buckets.Changed:
            continue
    return False


async def _main() -> list[str]:
    wanted = settings.read(Connections, os.environ)
    ring = keyring.load(Path(wanted.keyring))
    client = await log.connect(wanted.nats_url, "reseal")
    try:
        accounts = Bucket(client, topology.ACCOUNTS, Account)
        await accounts.open()
        await accounts.catch_up()
        done, faults = await reseal(accounts, ring)
        await accounts.close()
    finally:
        await client.close()
    sys.stdout.write(f"sealed {done} accounts with {ring.current}\n")
    return faults


def main() -> None:
    """Reseal, and exit 1 with one sentence for each account that could not be."""
    try:
        faults = asyncio.run(_main())
    except (settings.SettingsError, KeyringError, BrokerUnavailable) as error:
        sys.exit(f"reseal: {error}")
    if faults:
        sys.exit("\n".join(f"reseal: {fault}" for fault in faults))


if __name__ == "__main__":
    main()
