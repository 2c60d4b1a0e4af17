"""What no seed may show of any email."""

import random

from shared.events import delivery, fold, status
from tests.simulation.world import World


def broken(world: World, email_id: str) -> list[str]:
    """Return what one email shows that must not be."""
    history = [item for item in world.log.records if item.email_id == email_id]
    state = fold.fold(history)
    names = [item.event.name for item in history]
    problems = []
    waits = state.next_attempt_at is not None and state.next_attempt_at > world.ended_at
    if not status.is_final(state) and not waits:
        problems.append(f"not final: {status.raw(state)} {names}")
    copies = {address: count for (key, address), count in world.copies.items() if key == email_id}
    if email_id in world.cancelled and (copies or status.raw(state) == "sent"):
        problems.append(f"cancelled and sent: {names}")
    claims = sum(isinstance(item.event, delivery.Sending) for item in history)
    problems += [f"{count} copies of {claims} claims" for count in copies.values() if count > claims]
    if len(world.bytes.get(email_id, ())) > 1:
        problems.append("attempts differ in bytes")
    if world.ambiguity == "at_most_once" and any(count > 1 for count in copies.values()):
        problems.append(f"at_most_once, yet {copies}: {names}")
    shuffled = history * 2
    random.Random(0).shuffle(shuffled)
    if fold.fold(shuffled) != state:
        problems.append("the fold depends on the order")
    lost = [
        address
        for address, held in state.recipients.items()
        if held.result.status == "sent" and not copies.get(address)
    ]
    if lost:
        problems.append(f"said sent, never taken: {lost}")
    return problems
