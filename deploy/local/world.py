"""What the local world consists of, in which order it starts and stops, and what it tells its processes.

The plan is data, so that the supervisor never imports a service and the tests can run a smaller world.
"""

import asyncio
import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local import broker_store, console, identity, ports, probe, servers
from deploy.local.home import Home
from deploy.local.process import Program
from deploy.local.settings import ROOT, Settings
from deploy.local.supervisor import Supervisor

_SERVICES, _MAILBOX, _POSTGRES, _NATS = range(4)  # the order of stopping


@dataclass(frozen=True)
class Plan:
    """The Python modules a world consists of, each by the name it has in logs and variables."""

    # Run to its end before any service starts; may change the database's roles.
    bootstrap: tuple[tuple[str, str], ...]
    # Run to its end beside the starting services.
    first_start: tuple[tuple[str, str], ...]
    services: tuple[tuple[str, str], ...]
    mailbox: tuple[str, str] = ("mailbox", "deploy.local.mailbox")


WHOLE = Plan(
    bootstrap=(("bootstrap", "services.bootstrap"),),
    first_start=(("first_start", "deploy.local.first_start"),),
    services=tuple(
        (name, f"services.{name}") for name in ("gateway", "dispatcher", "scheduler", "projector", "tracker")
    ),
)


class World:
    """One local world: its addresses are fixed for as long as the supervisor lives."""

    def __init__(self, settings: Settings, plan: Plan, home: Home) -> None:
        self._settings = settings
        self._plan = plan
        self._home = home
        self._health = {name: ports.free_port() for name, _ in plan.services}
        self._health[plan.mailbox[0]] = settings.mailbox_port
        self.nats = servers.Nats(home.path / "nats", settings.nats_port, ports.free_port())
        data = home.path / "postgres"
        self.postgres = servers.Postgres(data, settings.postgres_port, _password(home, data))
        self.url = f"http://{ports.LOOPBACK}:{settings.gateway_port}"
        self.mailbox_url = f"http://{ports.LOOPBACK}:{settings.mailbox_port}"

    async def start(self, supervisor: Supervisor) -> None:
        """Start everything; servers first, then what prepares them, then all services together."""
        await supervisor.start([self._nats(), self._postgres(), self._mailbox()])
        await servers.ensure_database(self.postgres)
        for name, module in self._plan.bootstrap:
            await supervisor.run(self._python(name, module, self._administrator()))
        async with asyncio.TaskGroup() as group:
            group.create_task(supervisor.start([self._service(*named) for named in self._plan.services]))
            group.create_task(self._first_start(supervisor))

    def write_env(self) -> None:
        """Write the file to `source`."""
        variables = {
            "SENDLOG_URL": self.url,
            "SENDLOG_API_KEY": self._home.api_key(),
            "SENDLOG_MAILBOX_URL": self.mailbox_url,
            "SENDLOG_NATS_URL": self.nats.url,
            "SENDLOG_DATABASE_URL": self.postgres.url(),
            "SENDLOG_HOME": str(self._home.path),
            "SENDLOG_INGRESS_URL": self._settings.ingress_url,
            "SENDLOG_NATS_HEALTH": f"http://{ports.LOOPBACK}:{self.nats.monitor_port}",
        }
        for name, port in self._health.items():
            variables[f"SENDLOG_{name.upper()}_HEALTH"] = f"http://{ports.LOOPBACK}:{port}"
        self._home.write_env(variables, binaries=Path(sys.executable).parent)

    def welcome(self, began: float) -> str:
        """Return how to begin."""
        return console.welcome(
            url=self.url,
            api_key=self._home.api_key(),
            mailbox=self.mailbox_url,
            env_file=self._home.env_file,
            first=secrets.token_hex(4),
            seconds=time.monotonic() - began,
        )

    async def _first_start(self, supervisor: Supervisor) -> None:
        for name, module in self._plan.first_start:
            await supervisor.run(self._python(name, module, self._administrator()))

    def _nats(self) -> Program:
        return Program(
            name="nats",
            command=tuple(self.nats.command()),
            environment={},
            directory=self._home.path,
            ready=self.nats.ready,
            ails=broker_store.watcher(self.nats.store, self.nats.monitor_port),
            stop_turn=_NATS,
        )

    def _postgres(self) -> Program:
        who = self._postgres_identity()
        return Program(
            name="postgres",
            command=tuple(self.postgres.command()),
            environment={"LC_ALL": "C"},
            directory=Path("/"),
            ready=self.postgres.ready,
            prepare=self.postgres.prepare,
            stop_signal=servers.FAST_SHUTDOWN,
            death_signal=servers.IMMEDIATE_SHUTDOWN,
            stop_turn=_POSTGRES,
            runs_as=who,
        )

    def _postgres_identity(self) -> identity.Identity | None:
        who = self.postgres.runs_as()
        if who is not None and who.capability is not None:
            # Perhaps only our own directory is in the way.
            self._home.let_others_pass()
            who = self.postgres.runs_as()
        return who

    def _mailbox(self) -> Program:
        name, module = self._plan.mailbox
        return self._python(name, module, {}, stop_turn=_MAILBOX)

    def _service(self, name: str, module: str) -> Program:
        database = self.postgres.url(user=f"sendlog_{name}")
        return self._python(name, module, {"SENDLOG_DATABASE_URL": database})

    def _administrator(self) -> dict[str, str]:
        return {
            "SENDLOG_DATABASE_URL": self.postgres.url(),
            "SENDLOG_ROLE_PASSWORD": self.postgres.password,
        }

    def _python(
        self, name: str, module: str, own: Mapping[str, str], *, stop_turn: int = _SERVICES
    ) -> Program:
        port = self._health.get(name)

        async def ready() -> bool:
            return port is None or await probe.answers_ok(port, "/readyz")

        return Program(
            name=name,
            command=(sys.executable, "-m", module),
            environment={
                **self._environment(),
                **own,
                **({"SENDLOG_HEALTH_PORT": str(port)} if port else {}),
            },
            directory=ROOT,
            ready=ready,
            stop_turn=stop_turn,
        )

    def _environment(self) -> dict[str, str]:
        return {
            **self._settings.inherited,
            "PYTHONUNBUFFERED": "1",
            "SENDLOG_HOME": str(self._home.path),
            "SENDLOG_NATS_URL": self.nats.url,
            "SENDLOG_CONTENT_URL": (self._home.path / "content").as_uri(),
            "SENDLOG_KEYRING": str(self._home.path / "keyring"),
            # The development mailbox is on loopback, where production refuses to connect.
            "SENDLOG_ALLOW_NETWORKS": "127.0.0.0/8,::1/128",
            "SENDLOG_GATEWAY_HOST": ports.LOOPBACK,
            "SENDLOG_GATEWAY_PORT": str(self._settings.gateway_port),
            "SENDLOG_MAILBOX_SMTP_PORT": str(self._settings.mailbox_smtp_port),
            "SENDLOG_MAILBOX_PORT": str(self._settings.mailbox_port),
            "SENDLOG_PUBLIC_URL": self.url,
            "SENDLOG_TRACKER_HOST": ports.LOOPBACK,
            "SENDLOG_TRACKER_PORT": str(self._settings.tracker_port),
            "SENDLOG_INGRESS_HOST": ports.LOOPBACK,
            "SENDLOG_INGRESS_PORT": str(self._settings.ingress_port),
            "SENDLOG_JOURNAL": str(self._home.path / "journal"),
            "SENDLOG_TRACKER_URL": f"http://{ports.LOOPBACK}:{self._settings.tracker_port}",
        }


def _password(home: Home, data: Path) -> str:
    """Return the database's password. A new one for a database that knows another lets nobody in."""
    place = home.path / "postgres_password"
    if data.exists() and not place.exists():
        raise servers.Unusable(
            f"{place} is gone, and without it nobody gets into the database in {data}: "
            f"put it back, or move {data} away to begin with an empty database"
        )
    return home.secret(place.name)
