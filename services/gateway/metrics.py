"""What the gateway counts: requests by route and status, and how long they took.

Plain numbers that are turned into metrics when somebody asks: prometheus-client's own counters take a lock
each, and counting would cost more than finding the route.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from typing import Final

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

BOUNDS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)


class _Durations:
    """How many requests of one route took how long."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def buckets(self) -> list[tuple[str, float]]:
        """Return the cumulative counts by upper bound."""
        reached = 0
        found = []
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), self.counts, strict=True):
            reached += count
            found.append((bound, float(reached)))
        return found


_answers: Final[Counter[tuple[str, int]]] = Counter()
_durations: Final[dict[str, _Durations]] = {}


def observe(route: str, status: int, seconds: float) -> None:
    """Count one answered request."""
    _answers[route, status] += 1
    took = _durations.get(route)
    if took is None:
        took = _durations[route] = _Durations()
    took.counts[bisect_left(BOUNDS, seconds)] += 1
    took.total += seconds


class _Requests(Collector):
    """The numbers as metrics."""

    def collect(self) -> Iterator[CounterMetricFamily | HistogramMetricFamily]:
        """Return both families as they are now."""
        answers = CounterMetricFamily(
            "sendlog_http_requests", "Answered requests", labels=["route", "status"]
        )
        for (route, status), count in list(_answers.items()):
            answers.add_metric([route, str(status)], count)
        yield answers
        seconds = HistogramMetricFamily(
            "sendlog_http_request_seconds", "Time from the head of a request to its answer", labels=["route"]
        )
        for route, took in list(_durations.items()):
            seconds.add_metric([route], took.buckets(), took.total)
        yield seconds


REGISTRY.register(_Requests())
