"""Looks at the processes: what each says about itself, whether the key works, whether mail would leave."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from cli import accounts
from cli.api import Api, why
from cli.checks.finding import Finding, bad, good, odd
from cli.command import path
from cli.environment import Environment
from cli.failure import FORBIDDEN, UNAVAILABLE, Failure


async def look(environment: Environment) -> AsyncIterator[Finding]:
    """Look at every process whose address is known, then go through the API as a client would."""
    places = {name: place for name, place in environment.health().items() if name != "nats"}
    url = environment.get("SENDLOG_URL")
    if url is not None:
        places.setdefault("gateway", url)
    timeout = aiohttp.ClientTimeout(total=10, connect=3)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for name, place in sorted(places.items()):
            yield await _process(session, name, place.rstrip("/"))
    async for finding in _through_the_api(environment):
        yield finding


async def _process(session: aiohttp.ClientSession, name: str, place: str) -> Finding:
    try:
        async with session.get(f"{place}/readyz") as answer:
            return ready(name, answer.status, _body(await answer.read()))
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return bad(name, f"{place} does not answer: {why(error)}", f"start the {name}, or see its log")


def _body(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def ready(name: str, status: int, body: dict[str, Any]) -> Finding:
    """Judge what a process says about itself."""
    checks = body.get("checks") or {}
    problems = "; ".join(f"{what}: {reason}" for what, reason in sorted(checks.items()) if reason != "ok")
    if status != 200:
        return bad(name, problems or f"not ready ({status})", "see docs/operations.md, What /readyz says")
    if problems:
        return odd(name, f"ready, but {problems}", "see docs/operations.md, What /readyz says")
    return good(name, f"ready ({', '.join(sorted(checks))})" if checks else "ready")


async def _through_the_api(environment: Environment) -> AsyncIterator[Finding]:
    try:
        async with Api(environment.url(), environment.api_key()) as api:
            found = await accounts.every(api, "/accounts")
            yield good("api key", f"accepted by {environment.url()}")
            yield await _default_account(api, found)
    except Failure as failure:
        yield bad("api key" if failure.code == FORBIDDEN else "api", failure.message, _remedy(failure))


def _remedy(failure: Failure) -> str:
    if failure.code == FORBIDDEN:
        return "set SENDLOG_API_KEY to a key of this installation with accounts.read and accounts.write"
    if failure.code == UNAVAILABLE:
        return "start services.gateway, or see its log"
    return "check SENDLOG_URL"


async def _default_account(api: Api, found: list[dict[str, Any]]) -> Finding:
    default = next((account for account in found if account["default"]), None)
    if default is None:
        action = "sendlog accounts add … --default, or sendlog accounts edit ACCOUNT --default"
        return odd("default account", "the workspace has none: sends must name one", action)
    name = f"account {default['name']}"
    if default["disabled"]:
        return odd(name, "is disabled: mail for it waits", f"sendlog accounts edit {default['id']} --enable")
    try:
        report = (await api.post(path("accounts", default["id"], "verify"))).data
    except Failure as failure:
        return bad(name, failure.message, "start services.dispatcher, or see its log")
    if report["ok"]:
        return good(name, f"{default['host']}:{default['port']} takes mail")
    wrong = "; ".join(f"{check['name']}: {check['message']}" for check in report["checks"] if not check["ok"])
    return bad(name, wrong, f"mend the server or the account (sendlog accounts edit {default['id']} …)")
