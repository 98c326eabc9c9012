"""GET /metrics in Prometheus' text form. Counts are plain numbers until somebody asks, so that a request pays little.

Called by weft.api.app (one count per answer), resources (grants) and routes (the page).
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from weft.api.access import rule_hits
from weft.api.ledger import counts
from weft.control.controller import Controller
from weft.core.changes import Change, LeaseChange
from weft.core.conflicts import KINDS
from weft.model.kinds import RESERVATIONS, SERVERS
from weft.model.leases import UNSEEN
from weft.wire.messages import COUNTS

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

GRANTED = "granted"


class Metrics(Collector):
    """The service's counts since it started, and how the controller stands now."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._answers: Counter[tuple[str, int]] = Counter()
        self._refusals: Counter[str] = Counter()
        self._grants: Counter[str] = Counter()
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def answered(self, method: str, status: int) -> None:
        self._answers[method, status] += 1

    def refused(self, code: str) -> None:
        self._refusals[code] += 1

    def decided(self, changes: Iterable[Change]) -> None:
        """Count the addresses that a commit granted."""
        for change in changes:
            if type(change) is LeaseChange and change.event == GRANTED and change.scope not in UNSEEN:
                self._grants[change.scope.partition("/")[0]] += 1

    def page(self) -> bytes:
        """The whole page."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily("weft_http_requests", "Requests answered.", labels=("method", "status"))
        for (method, status), count in sorted(self._answers.items()):
            requests.add_metric((method, str(status)), count)
        yield requests
        refusals = CounterMetricFamily("weft_refusals", "Requests refused or failed, by error code.", labels=("code",))
        for code, count in sorted(self._refusals.items()):
            refusals.add_metric((code,), count)
        yield refusals
        grants = CounterMetricFamily("weft_grants", "Addresses granted, by kind.", labels=("kind",))
        for kind, count in sorted(self._grants.items()):
            grants.add_metric((kind,), count)
        yield grants
        revision = self._controller.state.revision
        yield GaugeMetricFamily("weft_revision", "The newest revision.", value=revision)
        yield from self._hosts()
        yield from self._pools()
        yield self._clashes()

    def _hosts(self) -> Iterator[Metric]:
        lag = GaugeMetricFamily("weft_host_lag_revisions", "Revisions a host has yet to apply.", labels=("server",))
        drops = CounterMetricFamily("weft_dropped_packets", "Packets dropped on a host.", labels=("server", "reason"))
        drift = GaugeMetricFamily("weft_host_drift", "Changes by another hand that were repaired.", labels=("server",))
        rules = CounterMetricFamily(
            "weft_access_rule_packets", "Packets that an access rule decided.", labels=("server", "list", "rule")
        )
        octets = CounterMetricFamily(
            "weft_access_rule_bytes", "Bytes of packets that an access rule decided.", labels=("server", "list", "rule")
        )
        counted = {
            name: CounterMetricFamily(f"weft_agent_{_snake(name)}", words, labels=("server",))
            for name, words in COUNTS.items()
        }
        count = 0
        for server in self._controller.state.all(SERVERS.name):
            host = self._controller.host(server.resource_id)
            if not host.managed:
                continue
            count += host.connected
            lag.add_metric((server.resource_id,), host.lag)
            drift.add_metric((server.resource_id,), len(host.facts.drift))
            for reason, packets in sorted(host.facts.drops.items()):
                drops.add_metric((server.resource_id, reason), packets)
            for ref, rule, packets, size in rule_hits(self._controller.state, host.facts):
                rules.add_metric((server.resource_id, ref.rpartition("/")[2], rule), packets)
                octets.add_metric((server.resource_id, ref.rpartition("/")[2], rule), size)
            for name, family in counted.items() if host.connected else ():
                family.add_metric((server.resource_id,), host.facts.counts.get(name, 0))
        yield GaugeMetricFamily("weft_agents_connected", "Agents on the feed.", value=count)
        yield from (lag, drift, drops, rules, octets, *counted.values())

    def _clashes(self) -> Metric:
        """Of every kind, 0 too: an alert that waits for a value must not wait for the first clash."""
        present = Counter(each.kind for each in self._controller.conflicts())
        family = GaugeMetricFamily("weft_conflicts", "Present clashes.", labels=("kind",))
        for kind in KINDS:
            family.add_metric((kind,), present[kind])
        return family

    def _pools(self) -> Iterator[Metric]:
        addresses = GaugeMetricFamily("weft_pool_addresses", "Addresses of a pool.", labels=("pool", "state"))
        ratio = GaugeMetricFamily("weft_pool_used_ratio", "Share of a pool that is not free.", labels=("pool",))
        warning = GaugeMetricFamily("weft_pool_warning", "1 from warnAtPercent of the pool on.", labels=("pool",))
        for pool in self._controller.state.addresses.pools.values():
            if pool.spec.scope in UNSEEN:
                continue
            for state, count in counts(pool).items():
                if state != "capacity":
                    addresses.add_metric((pool.spec.ref, state), count)
            ratio.add_metric((pool.spec.ref,), pool.taken.used / pool.capacity)
            warning.add_metric((pool.spec.ref,), pool.warns)
        yield from (addresses, ratio, warning)
        reserved = len(list(self._controller.state.all(RESERVATIONS.name)))
        yield GaugeMetricFamily("weft_reservations", "Reservations that have not ended.", value=reserved)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
