"""The supervisor of the local world: real servers, stand-ins for the services."""

import os
import re
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import asyncpg
import nats
import nats.errors
import pytest
import pytest_asyncio

from deploy.local.supervisor import Patience
from tests.controls.eventually import eventually
from tests.controls.servers import own_directory, remove
from tests.controls.small.world import SmallWorld


@pytest.fixture
def world(home: Path) -> Iterator[SmallWorld]:
    """A small world that the test starts itself."""
    world = SmallWorld(home)
    yield world
    world.end()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[SmallWorld]:
    """A small world that is ready, for tests that leave it as it is."""
    directory = own_directory()
    world = SmallWorld(directory)
    world.start()
    await world.ready()
    yield world
    world.end()
    remove(directory)


async def test_everything_starts_in_order_and_the_env_file_leads_to_it(running: SmallWorld) -> None:
    said = running.environment()
    assert said["SENDLOG_URL"] == f"http://127.0.0.1:{running.settings['SENDLOG_GATEWAY_PORT']}"
    assert said["SENDLOG_API_KEY"] == "sk_test"
    assert said["SENDLOG_HOME"] == str(running.home)
    assert said["SENDLOG_ALPHA_HEALTH"].startswith("http://127.0.0.1:")
    connection = await asyncpg.connect(said["SENDLOG_DATABASE_URL"])
    assert await connection.fetchval("select current_database()") == "sendlog"
    await connection.close()
    async with await nats.connect(said["SENDLOG_NATS_URL"]) as broker:
        await broker.jetstream().account_info()
    happened = [entry[:-1] for entry in running.journal()]
    first_service = min(happened.index(["started", name]) for name in ("alpha", "beta"))
    assert happened.index(["first_start"]) < first_service, "bootstrap comes before every service"


async def test_the_terminal_shows_how_to_begin_and_what_is_wrong(running: SmallWorld) -> None:
    console = running.console()
    assert "Sendlog is ready" in console
    assert "Bearer sk_test" in console
    assert "Idempotency-Key" in console
    assert running.environment()["SENDLOG_MAILBOX_URL"] in console
    assert "alpha: a warning for the console name=alpha" in console
    assert (running.home / "logs" / "alpha.log").read_text().startswith('{"level"')


async def test_each_service_connects_as_its_own_role(running: SmallWorld) -> None:
    urls = {entry[-2]: entry[-1] for entry in running.journal() if entry[0] == "started"}
    assert urls["alpha"].startswith("postgresql://sendlog_alpha:")
    assert urls["beta"].startswith("postgresql://sendlog_beta:")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_stop_is_in_order_and_leaves_nothing(world: SmallWorld, number: signal.Signals) -> None:
    world.start()
    await world.ready()
    world.signal(number)
    assert await world.ended() == 0
    stopped = [entry[1] for entry in world.journal() if entry[0] == "stopped"]
    assert sorted(stopped[:2]) == ["alpha", "beta"]
    assert stopped[2:] == ["mailbox"], "the mailbox outlives those who send to it"
    assert "database system is shut down" in (world.home / "logs" / "postgres.log").read_text()
    assert "Initiating Shutdown" in (world.home / "logs" / "nats.log").read_text()
    assert world.remains() == []
    assert not (world.home / "env").exists()


async def test_a_supervisor_killed_leaves_nothing_and_the_next_one_starts(world: SmallWorld) -> None:
    world.start()
    await world.ready()
    world.end()
    await eventually(lambda: world.remains() == [], within=10)
    (world.home / "env").unlink()
    world.start()
    await world.ready()


async def test_whatever_is_killed_is_started_again(world: SmallWorld) -> None:
    world.start()
    await world.ready()
    for name in ("alpha", "mailbox", "nats", "postgres"):
        before = world.pid(name)
        busy = await asyncpg.connect(world.environment()["SENDLOG_DATABASE_URL"])
        os.kill(before, signal.SIGKILL)
        await eventually(partial(_has_another_pid, world, name, before), within=15)
        busy.terminate()
        await eventually(partial(_servers_answer, world), within=20)
        assert f"{name} was ended by SIGKILL; starting it again in 0.1 s" in world.console()


async def test_the_pause_before_a_restart_grows_to_its_limit(world: SmallWorld) -> None:
    world.settings["SMALL_LONGEST_PAUSE"] = "0.5"
    world.start()
    await world.ready()
    (world.home / "fail-alpha").write_text("broken")
    os.kill(world.pid("alpha"), signal.SIGKILL)
    last = "alpha ended with exit code 1; starting it again in 0.5 s"
    await eventually(lambda: world.console().count(last) >= 2, within=30)
    (world.home / "fail-alpha").unlink()
    started = len(world.journal())
    await eventually(lambda: len(world.journal()) > started, within=10)
    pauses = re.findall(r"alpha .*; starting it again in (\d+\.\d) s", world.console())
    assert pauses[:4] == ["0.1", "0.2", "0.4", "0.5"]


def test_nobody_waits_longer_than_five_seconds_for_a_restart() -> None:
    patience = Patience()
    assert patience.longest_pause == 5.0
    assert patience.healthy_after == 10.0


async def test_a_service_that_never_starts_is_given_up_with_its_own_words(world: SmallWorld) -> None:
    (world.home / "fail-beta").write_text("SENDLOG_COLOUR must be blue")
    world.start()
    assert await world.ended() == 1
    assert "sendlog: beta ended with exit code 1; it said: SENDLOG_COLOUR must be blue" in world.console()
    assert world.remains() == []


async def test_a_port_in_use_is_named_with_the_variable_that_changes_it(world: SmallWorld) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        world.settings["SENDLOG_MAILBOX_PORT"] = str(port)
        world.start()
        assert await world.ended() == 1
    assert world.console().splitlines() == [
        f"sendlog: port {port} is in use: stop what uses it, or set SENDLOG_MAILBOX_PORT to another port"
    ]


async def test_a_port_that_is_none_is_a_usage_error(world: SmallWorld) -> None:
    world.settings["SENDLOG_NATS_PORT"] = "broker"
    world.start()
    assert await world.ended() == 2
    assert world.console().splitlines() == [
        "sendlog: SENDLOG_NATS_PORT must be a port number from 1 to 65535, not 'broker'"
    ]


async def test_a_second_supervisor_on_the_same_home_is_refused(world: SmallWorld) -> None:
    world.start()
    await world.ready()
    second = SmallWorld(world.home)
    second.start()
    assert await second.ended() == 1
    assert "already runs Sendlog" in world.console().splitlines()[-1]
    assert (world.home / "env").exists(), "the first one's env file stays"


async def test_an_old_data_directory_is_refused_in_one_sentence(world: SmallWorld) -> None:
    data = world.home / "postgres"
    data.mkdir()
    (data / "PG_VERSION").write_text("15\n")
    (world.home / "postgres_password").write_text("known")
    world.start()
    assert await world.ended() == 1
    (complaint,) = [line for line in world.console().splitlines() if line.startswith("sendlog: ")]
    assert "was made by PostgreSQL 15 and this is 18" in complaint
    assert world.remains() == []


async def test_a_database_whose_password_is_gone_is_one_sentence_at_once(world: SmallWorld) -> None:
    data, password = world.home / "postgres", world.home / "postgres_password"
    data.mkdir()
    for _ in range(2):
        world.start()
        assert await world.ended(within=10) == 1
        assert world.console().splitlines()[-1] == (
            f"sendlog: {password} is gone, and without it nobody gets into the database in {data}: "
            f"put it back, or move {data} away to begin with an empty database"
        )
    assert "Stopping" not in world.console(), "nothing was started"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's directories are closed to Postgres' user")
async def test_a_home_below_a_closed_directory_of_roots_works_and_nothing_above_is_opened(home: Path) -> None:
    above = home / "closed"
    (above / "home").mkdir(parents=True)
    above.chmod(0o700)
    (above / "home").chmod(0o700)
    world = SmallWorld(above / "home")
    try:
        world.start()
        await world.ready()
        assert above.stat().st_mode & 0o777 == 0o700
        assert (above / "home").stat().st_mode & 0o777 in (0o700, 0o711)
        owner = os.stat(f"/proc/{world.pid('postgres')}").st_uid
        assert owner != 0
    finally:
        world.end()


async def test_what_one_run_wrote_is_there_in_the_next(world: SmallWorld) -> None:
    world.start()
    await world.ready()
    connection = await asyncpg.connect(world.environment()["SENDLOG_DATABASE_URL"])
    await connection.execute("create table kept (n int); insert into kept values (7)")
    await connection.close()
    world.signal(signal.SIGTERM)
    assert await world.ended() == 0
    world.start()
    await world.ready()
    connection = await asyncpg.connect(world.environment()["SENDLOG_DATABASE_URL"])
    assert await connection.fetchval("select n from kept") == 7
    await connection.close()


async def test_a_server_whose_directory_is_away_for_a_moment_is_tried_until_it_is_back(
    world: SmallWorld,
) -> None:
    world.start()
    await world.ready()
    data, away = world.home / "postgres", world.home / "away"
    version = data / "PG_VERSION"
    version.rename(away)
    os.kill(world.pid("postgres"), signal.SIGKILL)
    await eventually(
        lambda: "postgres could not be started (the data directory" in world.console(), within=10
    )
    away.rename(version)
    await eventually(partial(_servers_answer, world), within=15)


def _has_another_pid(world: SmallWorld, name: str, before: int) -> bool:
    return (world.home / "run" / name).exists() and world.pid(name) != before


async def _servers_answer(world: SmallWorld) -> bool:
    said = world.environment()
    try:
        await (await asyncpg.connect(said["SENDLOG_DATABASE_URL"])).close()
        async with await nats.connect(
            said["SENDLOG_NATS_URL"], connect_timeout=1, max_reconnect_attempts=1
        ) as broker:
            await broker.jetstream().account_info()
    except (OSError, asyncpg.PostgresError, nats.errors.Error):
        return False
    return True
