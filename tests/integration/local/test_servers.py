"""The servers that the local world and the tests run on."""

import dataclasses
import os
import signal

import asyncpg
import nats
import pytest
from nats.js.api import StreamConfig

from deploy.local import servers as command_lines
from tests.controls import servers


async def test_an_acknowledged_record_is_there_after_the_broker_is_killed(
    own_nats: servers.NatsServer,
) -> None:
    async with await nats.connect(own_nats.url) as connection:
        jetstream = connection.jetstream()
        await jetstream.add_stream(StreamConfig(name="KEPT", subjects=["kept.>"]))
        await jetstream.publish("kept.one", b"1")
    own_nats.kill()
    own_nats.start()
    async with await nats.connect(own_nats.url) as connection:
        assert (await connection.jetstream().stream_info("KEPT")).state.messages == 1


async def test_a_clean_broker_has_no_stream_left_of_another_test(clean_nats: str) -> None:
    async with await nats.connect(clean_nats) as connection:
        assert await connection.jetstream().streams_info() == []
        await connection.jetstream().add_stream(StreamConfig(name="LEFT", subjects=["left.>"]))


async def test_postgres_comes_back_after_kill_9_with_a_client_connected(
    own_postgres: servers.PostgresServer,
) -> None:
    connection = await asyncpg.connect(own_postgres.url)
    await connection.execute("create table kept (n int); insert into kept values (1)")
    own_postgres.kill()
    connection.terminate()
    own_postgres.start()
    connection = await asyncpg.connect(own_postgres.url)
    assert await connection.fetchval("select n from kept") == 1
    await connection.close()


async def test_postgres_refuses_a_wrong_password(own_postgres: servers.PostgresServer) -> None:
    wrong = own_postgres.url.replace(own_postgres.postgres.password, "wrong")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(wrong)


async def test_a_database_that_cannot_be_made_is_one_sentence(own_postgres: servers.PostgresServer) -> None:
    stranger = dataclasses.replace(own_postgres.postgres, password="wrong")
    with pytest.raises(command_lines.Unusable, match="database sendlog cannot be reached: password"):
        await command_lines.ensure_database(stranger)
    own_postgres.kill()
    with pytest.raises(command_lines.Unusable, match="database sendlog cannot be reached: "):
        await command_lines.ensure_database(own_postgres.postgres)


async def test_each_test_has_a_database_of_its_own(database: str) -> None:
    connection = await asyncpg.connect(database)
    assert (
        await connection.fetchval(
            "select count(*) from information_schema.tables where table_schema = 'public'"
        )
        == 0
    )
    await connection.close()


def test_a_data_directory_of_another_version_is_named_in_one_sentence(
    own_postgres: servers.PostgresServer,
) -> None:
    own_postgres.stop()
    (own_postgres.postgres.data / "PG_VERSION").write_text("16\n")
    with pytest.raises(command_lines.Unusable, match=r"made by PostgreSQL 16 .* SENDLOG_HOME"):
        own_postgres.postgres.prepare()


async def test_postgres_starts_again_although_a_backend_has_not_noticed_its_death(
    own_postgres: servers.PostgresServer,
) -> None:
    connection = await asyncpg.connect(own_postgres.url)
    os.kill(await connection.fetchval("select pg_backend_pid()"), signal.SIGSTOP)
    os.kill(own_postgres.pid, signal.SIGKILL)
    connection.terminate()
    own_postgres.start()
    connection = await asyncpg.connect(own_postgres.url)
    assert await connection.fetchval("select 1") == 1
    await connection.close()
