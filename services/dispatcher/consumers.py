"""Which records come to which handler."""

from faststream.nats import NatsBroker

from services.dispatcher.handlers import Handlers
from shared.runtime import topology
from shared.runtime.consumer import Consumer
from shared.runtime.log import Log
from shared.runtime.publisher import Publisher


def build(log: Log, broker: NatsBroker, handlers: Handlers, publisher: Publisher) -> Consumer:
    """Return the consumer of `requested.now` and `released`; its handler settles records later."""
    return Consumer(log, broker, topology.DISPATCHER, handlers.take, batch=256, publisher=publisher)
