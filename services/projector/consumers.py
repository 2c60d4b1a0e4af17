"""Which records come to which handler."""

from typing import Final

from faststream.nats import NatsBroker

from services.projector.handlers import Handlers
from shared.runtime import topology
from shared.runtime.consumer import Consumer
from shared.runtime.delivery import Delivery
from shared.runtime.log import Log

BATCH: Final = 2000
LINGER: Final = 0.05  # seconds, under load only: most emails' first events then come in one batch


def build(log: Log, broker: NatsBroker, handlers: Handlers) -> Consumer:
    """Return the consumer of the whole log."""

    async def handle(batch: list[Delivery]) -> None:
        await handlers.take(batch, consumer)

    consumer = Consumer(log, broker, topology.PROJECTOR, handle, batch=BATCH, linger=LINGER)
    return consumer
