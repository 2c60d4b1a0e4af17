"""How much an account may hold of the window all accounts share: never so much that nothing is left."""

from typing import Any

from services.dispatcher.lanes import QUEUE_SECONDS, Lane
from services.dispatcher.opening import Server
from services.dispatcher.pool import Pool
from shared.runtime import topology
from shared.runtime.configuration import Limits
from tests.controls import dispatching


def a_busy_lane() -> Lane:
    """Return the lane of an account that would take all it gets."""
    account = dispatching.an_account(25, limits=Limits(connections=4000))
    limiter: Any = None
    lane = Lane(account, Pool(Server(host="nowhere.invalid", port=25), 0), limiter)
    lane.set_share(4000)
    return lane


def a_quick_lane(share: int) -> Lane:
    """Return the lane of an account with that many of its 20 connections here, which has just got 200 sent."""
    account = dispatching.an_account(25, limits=Limits(connections=20))
    limiter: Any = None
    lane = Lane(account, Pool(Server(host="nowhere.invalid", port=25), 0), limiter)
    lane.set_share(share)
    for _ in range(200):
        lane.finished()
    return lane


async def test_however_many_slow_accounts_there_are_the_next_one_gets_in() -> None:
    lanes = [a_busy_lane() for _ in range(20)]
    for lane in lanes:
        while lane.held < lane.may_hold(topology.DISPATCHER.in_flight - sum(one.held for one in lanes)):
            lane.held += 1
    held = sum(lane.held for lane in lanes)
    assert a_busy_lane().may_hold(topology.DISPATCHER.in_flight - held) >= 64
    assert max(lane.held for lane in lanes) <= topology.DISPATCHER.in_flight // 8


async def test_a_lane_that_gets_much_done_may_hold_what_it_gets_done_in_seconds() -> None:
    lane = a_quick_lane(share=20)
    assert lane.may_hold(8000) == QUEUE_SECONDS * 200


async def test_a_quick_lane_leaves_half_of_the_window_to_others() -> None:
    assert a_quick_lane(share=20).may_hold(2000) == 1000


async def test_a_quick_lane_holds_by_its_part_of_the_connections_where_other_dispatchers_have_the_rest() -> (
    None
):
    assert a_quick_lane(share=5).may_hold(2000) == 250


async def test_a_lane_may_always_hold_one_record() -> None:
    assert a_busy_lane().may_hold(0) == 1
