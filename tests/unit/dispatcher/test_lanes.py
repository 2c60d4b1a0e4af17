"""How much an account may hold of the window all accounts share: never so much that nothing is left."""

from typing import Any

import msgspec

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


async def test_quick_lanes_of_several_dispatchers_leave_some_of_the_window_to_the_next_account() -> None:
    dispatchers = [[a_quick_lane(share=10) for _ in range(6)] for _ in range(2)]
    held = 0
    while grown := sum(map(_takes_one, dispatchers)):
        held += grown
    assert held < topology.DISPATCHER.in_flight - 1000


async def test_a_lane_with_more_connections_than_are_left_to_it_has_no_more_of_the_window() -> None:
    lane = a_quick_lane(share=20)
    assert lane.account is not None
    lane.account = msgspec.structs.replace(lane.account, limits=Limits(connections=1))
    assert lane.may_hold(2000) == 1000


def _takes_one(lanes: list[Lane]) -> int:
    """Let each lane of a dispatcher take one more record where it may; return how many did."""
    grown = 0
    for lane in lanes:
        if lane.unasked < lane.may_hold(topology.DISPATCHER.in_flight - sum(one.unasked for one in lanes)):
            lane.unasked += 1
            grown += 1
    return grown


async def test_a_lane_may_always_hold_one_record() -> None:
    assert a_busy_lane().may_hold(0) == 1
