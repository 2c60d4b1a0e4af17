"""The first start, run for the first time, again, and after having been cut short."""

from pathlib import Path

import pytest

from deploy.local import first_start
from shared.runtime import configuration, topology
from shared.runtime.buckets import Bucket
from shared.runtime.configuration import Account, ApiKey, Workspace
from shared.runtime.log import Log
from tests.controls.runtime import bootstrap, open_log


class Start:
    """A first start on a broker and a home, and what it left."""

    def __init__(self, nats: str, home: Path) -> None:
        self.home = home
        self.settings = first_start.Settings(
            home=str(home), nats_url=nats, keyring=str(home / "keyring"), mailbox_smtp_port=1025
        )

    async def run(self, port: int = 1025) -> str:
        self.settings.mailbox_smtp_port = port
        await first_start.main(self.settings)
        return (self.home / "api_key").read_text().strip()


@pytest.fixture
async def start(clean_nats: str, tmp_path: Path) -> Start:
    await bootstrap(clean_nats)
    return Start(clean_nats, tmp_path)


async def _keys(emails: Log) -> dict[str, ApiKey]:
    bucket = Bucket(emails.client, topology.KEYS, ApiKey)
    await bucket.open()
    await bucket.close()
    return bucket.items()


async def _account(emails: Log) -> Account | None:
    bucket = Bucket(emails.client, topology.ACCOUNTS, Account)
    found = await bucket.read(configuration.account_key("default", first_start.ACCOUNT_ID))
    return found[1] if found else None


async def test_the_key_it_leaves_can_do_everything_and_only_its_owner_reads_it(start: Start) -> None:
    token = await start.run()
    assert (start.home / "api_key").stat().st_mode & 0o777 == 0o600
    assert (start.home / "keyring").stat().st_mode & 0o777 == 0o600
    async with open_log(start.settings.nats_url) as (emails, _):
        keys = await _keys(emails)
        assert list(keys) == [configuration.hash_token(token)]
        (key,) = keys.values()
        assert key.permissions == configuration.PERMISSIONS
        assert key.rate_limit == 600_000


async def test_the_workspace_sends_by_the_development_mailbox(start: Start) -> None:
    await start.run()
    async with open_log(start.settings.nats_url) as (emails, _):
        found = await Bucket(emails.client, topology.WORKSPACES, Workspace).read("default")
        account = await _account(emails)
        assert found is not None
        assert account is not None
        assert found[1].default_account_id == account.id
        assert (account.smtp.host, account.smtp.port, account.smtp.tls) == ("127.0.0.1", 1025, "none")
        assert [identity.address for identity in account.identities] == ["hello@sendlog.test"]


async def test_a_second_start_changes_nothing(start: Start) -> None:
    token, ring = await start.run(), (start.home / "keyring").read_bytes()
    async with open_log(start.settings.nats_url) as (emails, _):
        keys, account = await _keys(emails), await _account(emails)
        assert await start.run() == token
        assert (start.home / "keyring").read_bytes() == ring
        assert (await _keys(emails), await _account(emails)) == (keys, account)


async def test_the_account_follows_the_mailbox_to_another_port(start: Start) -> None:
    await start.run()
    await start.run(port=2025)
    async with open_log(start.settings.nats_url) as (emails, _):
        account = await _account(emails)
        assert account is not None
        assert account.smtp.port == 2025


async def test_an_account_that_was_removed_stays_removed(start: Start) -> None:
    await start.run()
    async with open_log(start.settings.nats_url) as (emails, _):
        key = configuration.account_key("default", first_start.ACCOUNT_ID)
        await Bucket(emails.client, topology.ACCOUNTS, Account).delete(key)
        await start.run()
        assert await _account(emails) is None


async def test_a_token_written_without_its_entry_is_replaced(start: Start) -> None:
    (start.home / "api_key").write_text("sk_cut_short\n")
    token = await start.run()
    assert token != "sk_cut_short"
    async with open_log(start.settings.nats_url) as (emails, _):
        assert list(await _keys(emails)) == [configuration.hash_token(token)]


async def test_a_lost_token_leaves_no_key_behind(start: Start) -> None:
    await start.run()
    (start.home / "api_key").unlink()
    token = await start.run()
    async with open_log(start.settings.nats_url) as (emails, _):
        assert list(await _keys(emails)) == [configuration.hash_token(token)]


async def test_a_workspace_cut_short_is_continued_with_the_same_account(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(_client: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(first_start, "_make_workspace", killed)
        with pytest.raises(KeyboardInterrupt):
            await start.run()
    await start.run()
    async with open_log(start.settings.nats_url) as (emails, _):
        found = await Bucket(emails.client, topology.WORKSPACES, Workspace).read("default")
        assert found is not None
        assert found[1].default_account_id == first_start.ACCOUNT_ID
        assert await _account(emails) is not None
