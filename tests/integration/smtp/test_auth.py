"""Logging in: each way, each refusal, and no secret in any record of it."""

import base64
import json

import pytest

from tests.integration.smtp.asking import (
    LOGIN,
    a_server,
    a_session,
    failing_to_open,
)
from tests.integration.smtp.scripted import Client, Script, ehlo, serving


def auth_server(*answers: str, offers: str = "AUTH PLAIN LOGIN XOAUTH2") -> Script:
    async def script(client: Client) -> None:
        await client.say("220 mta.test ESMTP")
        await client.hear()
        await client.say(*ehlo([offers] if offers else ["PIPELINING"]))
        for answer in answers:
            await client.hear()
            await client.say(answer)
        await client.hear()

    return script


def decoded(text: str) -> str:
    return base64.b64decode(text).decode()


async def test_plain_is_spoken_in_one_line() -> None:
    async with serving(auth_server("235 2.7.0 ok")) as server, a_session(server.port, **LOGIN):
        pass
    assert decoded(server.lines[1].removeprefix("AUTH PLAIN ")) == "\0ann@x.test\0hunter2-secret"


async def test_login_is_spoken_where_plain_is_not_offered_or_not_understood() -> None:
    async with (
        serving(auth_server("334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 ok", offers="AUTH LOGIN")) as server,
        a_session(server.port, **LOGIN),
    ):
        pass
    assert server.lines[1] == "AUTH LOGIN"
    assert [decoded(line) for line in server.lines[2:4]] == ["ann@x.test", "hunter2-secret"]
    script = auth_server("504 5.5.4 unsupported", "334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 ok")
    async with serving(script) as server, a_session(server.port, **LOGIN):
        pass
    assert [line.split(" ")[1] for line in server.lines[1:3]] == ["PLAIN", "LOGIN"]


async def test_xoauth2_sends_the_token() -> None:
    async with (
        serving(auth_server("235 2.7.0 Accepted")) as server,
        a_session(server.port, **(LOGIN | {"auth": "xoauth2"})),
    ):
        pass
    assert decoded(server.lines[1].removeprefix("AUTH XOAUTH2 ")) == (
        "user=ann@x.test\x01auth=Bearer hunter2-secret\x01\x01"
    )


async def test_a_refused_token_is_told_with_the_servers_json() -> None:
    detail = base64.b64encode(json.dumps({"status": "401", "schemes": "bearer"}).encode()).decode()
    async with serving(
        auth_server(f"334 {detail}", "535 5.7.8 Username and Password not accepted")
    ) as server:
        error = await failing_to_open(server.port, **(LOGIN | {"auth": "xoauth2"}))
    assert (error.phase, error.kind) == ("auth", "refused")
    assert error.reply is not None
    assert error.reply.code == 535
    assert '"status": "401"' in str(error)
    assert server.lines[2] == ""


@pytest.mark.parametrize(
    "answer", ["535 5.7.8 authentication failed", "454 4.7.0 temporary failure", "421 4.3.2 bye"]
)
async def test_a_refused_login_fails_in_auth_and_is_not_tried_again(answer: str) -> None:
    async with serving(auth_server(answer)) as server:
        error = await failing_to_open(server.port, **LOGIN)
    assert (error.phase, error.kind) == ("auth", "refused")
    assert error.reply is not None
    assert str(error.reply) == answer
    outcome = error.outcome(["a@x.test"])
    assert (outcome.replies[0].phase, outcome.replies[0].code) == ("auth", int(answer[:3]))
    assert [line[:4] for line in server.lines] == ["EHLO", "AUTH"]


@pytest.mark.parametrize(
    ("offers", "auth"),
    [("", "password"), ("AUTH CRAM-MD5", "password"), ("AUTH PLAIN", "xoauth2"), ("", "xoauth2")],
)
async def test_a_server_without_our_ways_to_log_in_fails_in_auth(offers: str, auth: str) -> None:
    async with serving(auth_server(offers=offers)) as server:
        error = await failing_to_open(server.port, **(LOGIN | {"auth": auth}))
    assert (error.phase, error.kind) == ("auth", "auth_unavailable")
    assert server.verbs() == ["EHLO"]


@pytest.mark.parametrize("auth", ["password", "xoauth2"])
async def test_no_secret_is_in_a_conversation_whatever_the_server_echoes(auth: str) -> None:
    async def echo(client: Client) -> None:
        await client.say("220 mta.test ESMTP")
        await client.hear()
        await client.say(*ehlo(["AUTH PLAIN XOAUTH2"]))
        line = await client.hear()
        await client.say(f"535-5.7.8 I heard {line}", "535 5.7.8 hunter2-secret is wrong")

    async with serving(echo) as server:
        error = await failing_to_open(server.port, **(LOGIN | {"auth": auth}))
    said = (
        repr(error) + str(error) + repr(error.conversation) + repr(error.reply) + repr(a_server(1, **LOGIN))
    )
    assert "hunter2" not in said
    assert server.lines[1].split(" ")[2] not in said
    assert "***" in said
