"""What no seed may show of any email."""

import random

from shared.events import fold, status
from tests.simulation.world import ADDRESSES, World


def broken(world: World, email_id: str) -> list[str]:
    """Return what one email shows that must not be."""
    history = [item for item in world.log.records if item.email_id == email_id]
    state = fold.fold(history)
    names = [item.event.name for item in history]
    problems = []
    waits = state.next_attempt_at is not None and state.next_attempt_at > world.ended_at
    if not status.is_final(state) and not waits:
        problems.append(f"not final: {status.raw(state)} {names}")
    copies = world.copies.counts(email_id)
    if email_id in world.cancelled and (copies or status.raw(state) == "sent"):
        problems.append(f"cancelled and sent: {names}")
    if doubled := world.copies.unexplained(email_id):
        problems.append(f"copies without a reason for {doubled}: {names}")
    problems += _suppressed(world, state, copies)
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


def _suppressed(world: World, state: fold.State, copies: dict[str, int]) -> list[str]:
    """Return what is wrong with the suppressed recipients, who were on the list before the email was there."""
    problems = []
    raw = status.raw(state)
    if reached := [address for address in world.suppressed if copies.get(address)]:
        problems.append(f"suppressed, and written to: {reached}")
    settled = {address for address, held in state.recipients.items() if held.result.status == "suppressed"}
    if settled - set(world.suppressed):
        problems.append(f"not suppressed, and left out: {settled}")
    if raw in ("sent", "suppressed") and settled != set(world.suppressed):
        problems.append(f"{raw}, and nobody says that {world.suppressed} are suppressed")
    if (raw == "suppressed") and len(world.suppressed) < len(ADDRESSES):
        problems.append("suppressed, though somebody is not")
    return problems
