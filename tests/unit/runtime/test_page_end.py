"""How a page of a direct get ends: only the broker's word about the log counts as one."""

import asyncio

import pytest

from shared.runtime import log


@pytest.mark.parametrize(
    ("head", "more"),
    [
        ({"Status": "204", "Description": "EOB", "Nats-Num-Pending": "3"}, True),
        ({"Status": "204", "Description": "EOB", "Nats-Num-Pending": "0"}, False),
        ({"Status": "404", "Description": "No Results"}, False),
    ],
)
async def test_the_end_of_a_page_says_whether_more_is_there(head: dict[str, str], more: bool) -> None:
    done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    log.end_page(done, head)
    assert done.result() is more


@pytest.mark.parametrize("status", ["503", "408", "413", "500", ""])
async def test_a_broker_that_did_not_read_is_no_end_of_a_page(status: str) -> None:
    done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    log.end_page(done, {"Status": status} if status else {})
    with pytest.raises(log.BrokerUnavailable, match=status or "no status"):
        done.result()
