"""What a client may put into a batch, and the asking."""

from typing import Any

from tests.integration.gateway.emails.door import Answer, Door

SHARED: dict[str, Any] = {"subject": "Order {{ number }}", "text": "Dear {{ name }}, order {{ number }}."}


def a_recipient(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "to": f"user{number}@world.test",
        "variables": {"name": f"User {number}", "number": number},
        **fields,
    }


async def batch(door: Door, body: Any, key: str | None = None) -> Answer:
    return await door.ask("POST", "/emails/batch", body, **({"Idempotency-Key": key} if key else {}))


async def accepted(door: Door, body: Any, key: str | None = None) -> Answer:
    answer = await batch(door, body, key)
    assert answer.status == 202, answer.body
    return answer


def is_replay(answer: Answer) -> bool:
    return answer.headers.get("Idempotent-Replayed") == "true"


def recipients(count: int, **shared: Any) -> dict[str, Any]:
    return {**SHARED, **shared, "recipients": [a_recipient(number) for number in range(count)]}
