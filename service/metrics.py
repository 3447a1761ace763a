"""`/metrics`: the ledger's figures for Prometheus. Every process gives the same, since Redis counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from service.core.overview import overview
from service.web import current

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flask import Flask
    from prometheus_client.core import Metric

    from service.core.overview import Overview

blueprint = Blueprint("metrics", __name__)


def register(app: Flask) -> None:
    """Add `/metrics` to the app."""
    app.register_blueprint(blueprint)


@blueprint.get("/metrics")
def metrics() -> Response:
    """Give the figures as Prometheus text, or 503 where Redis is away."""
    web = current()
    registry = CollectorRegistry()
    try:
        registry.register(Figures(overview(web.ledger, web.redis), web.spool.waiting()))
    except RedisError as error:
        why = f"Redis cannot be asked: {type(error).__name__}\n"
        return Response(why, 503, {"Retry-After": "10"}, content_type="text/plain; charset=utf-8")
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class Figures(Collector):
    """An overview as metrics."""

    def __init__(self, view: Overview, spooled: int) -> None:
        self._view = view
        self._spooled = spooled

    def collect(self) -> Iterable[Metric]:
        """Give each figure, with what it means."""
        view, stats = self._view, self._view.stats
        yield _gauge("bridge_events", "Events in the ledger.", "state", stats.states)
        yield _gauge("bridge_due", "Active events, by lane.", "lane", stats.due)
        yield _gauge("bridge_queue_depth", "Jobs in the RQ queues.", "queue", view.queues)
        yield GaugeMetricFamily(
            "bridge_handed_out", "Events handed out or being delivered.", stats.handed_out
        )
        yield GaugeMetricFamily(
            "bridge_oldest_waiting_seconds", "How long the oldest unfinished event waits.", view.waited or 0
        )
        yield GaugeMetricFamily("bridge_paused", "1 while delivery is paused.", int(stats.pause is not None))
        yield GaugeMetricFamily("bridge_workers", "Workers alive.", view.workers)
        yield GaugeMetricFamily(
            "bridge_closed_locations", "Locations whose delivery is paused.", len(stats.closed)
        )
        yield GaugeMetricFamily(
            "bridge_uncertain",
            "Events that may have made a ticket and are being looked for.",
            stats.uncertain,
        )
        yield GaugeMetricFamily("bridge_second_tickets", "Events that made a second ticket.", stats.alarms)
        yield GaugeMetricFamily(
            "bridge_spooled", "Requests in this machine's spool; -1 where it cannot be read.", self._spooled
        )
        refused = CounterMetricFamily(
            "bridge_refused", "Requests turned away at the door.", labels=("channel", "reason")
        )
        for labels, count in sorted(view.refused.items()):
            refused.add_metric(labels, count)
        yield refused
        steps = CounterMetricFamily(
            "bridge_steps", "What happened to events since the ledger began.", labels=("step", "channel")
        )
        for name, count in sorted(stats.counters.items()):
            step, _, channel = name.partition(":")
            steps.add_metric((step, channel), count)
        yield steps


def _gauge(name: str, meaning: str, label: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), value)
    return family
