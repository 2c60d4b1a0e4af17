"""Which records come to which handler."""

from faststream.nats import NatsBroker

from services.scheduler.handlers import Handlers
from shared.runtime import topology
from shared.runtime.consumer import Consumer
from shared.runtime.log import Log

BATCH = 1000
LINGER = 0.01


def build(log: Log, broker: NatsBroker, handlers: Handlers) -> Consumer:
    """Return the consumer of whatever waits and of what ends a wait."""
    records = Consumer(log, broker, topology.SCHEDULER, handlers.take, batch=BATCH, linger=LINGER)
    handlers.consumer = records
    return records
