"""All scenarios by name."""

from typing import Final

from tests.chaos import (
    broken_tls,
    broker_down,
    cancel_races,
    clock_jump,
    disk_full,
    hostile_relay,
    idempotent_storm,
    imap,
    kill_nine,
    own_turn,
    poison,
    postgres_down,
    power_cut,
    relay_words,
    rolling_restart,
    seeds,
    shared_limits,
    slow_neighbour,
    tracker_killed,
)
from tests.chaos.scenario import Run

ALL: Final[dict[str, tuple[str, Run]]] = {
    "kill_nine": ("C1", kill_nine.run),
    "power_cut": ("C2", power_cut.run),
    "broker_down": ("C3", broker_down.run),
    "postgres_down": ("C4", postgres_down.run),
    "disk_full_log": ("C5", disk_full.log),
    "disk_full_postgres": ("C5", disk_full.postgres),
    "disk_full_content": ("C5", disk_full.content),
    "slow_neighbour": ("C6", slow_neighbour.run),
    "own_turn": ("fairness", own_turn.run),
    "shared_limits": ("fairness", shared_limits.run),
    "hostile_relay": ("C7", hostile_relay.run),
    "relay_words": ("C7, C8", relay_words.run),
    "broken_tls": ("C7", broken_tls.run),
    "seeds": ("C9", seeds.run),
    "idempotent_storm": ("C11", idempotent_storm.run),
    "cancel_races": ("C12", cancel_races.run),
    "rolling_restart": ("C13", rolling_restart.run),
    "tracker_killed": ("hits", tracker_killed.run),
    "poison": ("C14", poison.run),
    "clock_jump": ("C15", clock_jump.run),
    "imap": ("C17", imap.run),
}
