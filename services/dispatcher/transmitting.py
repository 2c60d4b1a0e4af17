"""One attempt at the next hop: a session of the account's, the transaction in it, and what it says of the account.

Whatever comes of it is an outcome. Only a content store that does not answer is none: that is our own fault.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from services.dispatcher import conclusion
from services.dispatcher.envelope import Envelope
from services.dispatcher.lanes import Lane
from services.dispatcher.outcome import Outcome, SmtpError

MayLeave: TypeAlias = Callable[[], Awaitable[None]]


async def transmit(
    lane: Lane, envelope: Envelope, may_leave: MayLeave, still_ours: Callable[[], bool], *, bulk: bool
) -> Outcome:
    """Talk SMTP; `may_leave` is awaited right before MAIL, `still_ours` is asked right before the final dot.

    Raises: ContentUnavailable, and what `may_leave` raises: nothing was said then.
    """
    outcome = await _transact(lane, envelope, may_leave, still_ours, bulk)
    if outcome.was_stale:  # the server had closed the session we kept: that says nothing about this email
        # Another one that was kept may be as worn: servers close them after so many messages.
        outcome = await _transact(lane, envelope, may_leave, still_ours, bulk, fresh=True)
    now = asyncio.get_running_loop().time()
    if outcome.error_kind == "no_session":  # that was us, and says nothing about the account's server
        return outcome
    if conclusion.is_accounts_fault(outcome):
        lane.last_error = f"{outcome.phase}: {outcome.error or outcome.final}"
        lane.breaker.failed(now)
    else:
        lane.breaker.succeeded()
    return outcome


async def _transact(
    lane: Lane,
    envelope: Envelope,
    may_leave: MayLeave,
    still_ours: Callable[[], bool],
    bulk: bool,
    *,
    fresh: bool = False,
) -> Outcome:
    try:
        async with lane.pool.session(bulk=bulk, fresh=fresh) as session:
            await may_leave()
            return await session.transact(envelope, still_ours)
    except SmtpError as error:
        return error.outcome(envelope.recipients)
