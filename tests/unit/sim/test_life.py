"""A life: repeatable, in order, sensible at every moment, and of the size that was asked for."""

from collections.abc import Iterator

import pytest

from weft.sim import events
from weft.sim.cast import Bag
from weft.sim.life import DAY, POOL, Life, Rates, Scale

SMALL = Scale(hosts=4, machines=120, days=10, seed=3)


def test_a_seed_is_a_life() -> None:
    first, again = list(Life(SMALL).events()), list(Life(SMALL).events())
    assert first == again
    assert list(Life(Scale(hosts=4, machines=120, days=10, seed=4)).events()) != first


def test_events_come_in_order_and_end_in_time() -> None:
    times = [event.at for event in Life(SMALL).events()]
    assert times == sorted(times)
    assert times[-1] < SMALL.days * DAY


def test_everything_that_can_happen_happens() -> None:
    kinds = {type(event) for event in Life(SMALL, Rates(host_death=0.2)).events()}
    assert kinds == set(events.Event.__args__)


class Witness:
    """Follows events as a cluster where every start succeeds."""

    def __init__(self) -> None:
        self.hosts: set[str] = set()
        self.where: dict[str, str] = {}
        self.running: set[str] = set()
        self.checkpoints: set[str] = set()

    def see(self, event: events.Event) -> None:
        match event:
            case events.HostAdded(host=host, image_of=source):
                assert host not in self.hosts and (not source or source in self.hosts)
                self.hosts.add(host)
            case events.Created(machine=machine, host=host):
                assert machine not in self.where and host in self.hosts
                self.where[machine] = host
            case events.Cloned(machine=machine, source=source, host=host):
                assert machine not in self.where and source in self.where
                self.where[machine] = host
            case events.Deleted(machine=machine):
                del self.where[machine]
                self.running.discard(machine)
            case events.Started(machine=machine):
                assert machine in self.where and machine not in self.running
                self.running.add(machine)
            case events.Stopped(machine=machine):
                self.running.remove(machine)
            case events.PowerCycled(machine=machine) | events.Rebooted(machine=machine):
                assert machine in self.running
            case events.CheckpointTaken(machine=machine):
                assert machine in self.running
                self.checkpoints.add(machine)
            case _:
                self.see_many(event)

    def see_many(self, event: events.Event) -> None:
        match event:
            case events.Moved(machine=machine, host=host):
                assert machine in self.running and host != self.where[machine]
                self.where[machine] = host
            case events.RolledBack(machines=machines):
                assert machines and set(machines) <= self.running & self.checkpoints
            case events.HostDied(host=host, to=to):
                assert {machine for machine, _ in to} == {name for name, at in self.where.items() if at == host}
                self.where.update(to)
                assert host not in self.where.values()


@pytest.mark.parametrize("seed", range(4))
def test_every_event_is_possible_when_it_comes(seed: int) -> None:
    witness = Witness()
    for event in Life(Scale(5, 200, 12, seed), Rates(host_death=0.1)).events():
        witness.see(event)
    assert len(witness.where) == 200
    assert len(witness.running) == pytest.approx(180, abs=15)


@pytest.mark.parametrize("machines", [1, 2, 7])
def test_the_smallest_clusters_live_too(machines: int) -> None:
    witness = Witness()
    for event in Life(Scale(1, machines, 40, 5)).events():
        witness.see(event)
    assert len(witness.where) == machines


def test_a_host_image_is_of_an_earlier_host_and_some_sites_look_alike() -> None:
    hosts = list(_hosts(Scale(hosts=40, machines=1, days=1, cloned_hosts=3)))
    assert sum(bool(host.image_of) for host in hosts) == 3
    tails = [host.ipv4.split(".")[2:] for host in hosts]
    assert [at for at, tail in enumerate(tails) if tails.index(tail) != at] == [19, 39]
    assert len({host.ipv4 for host in hosts}) == 40


def test_more_clones_than_hosts_are_as_many_as_can_be() -> None:
    hosts = list(_hosts(Scale(hosts=3, machines=1, days=1, cloned_hosts=9)))
    assert [host.image_of for host in hosts] == ["", "host1", "host2"]


def _hosts(scale: Scale) -> Iterator[events.HostAdded]:
    return (event for event in Life(scale).events() if isinstance(event, events.HostAdded))


def test_a_pool_of_desktops_logs_off_together_in_the_evening() -> None:
    evening = [event for event in Life(SMALL).events() if isinstance(event, events.RolledBack)]
    together = [event for event in evening if len(event.machines) > 1]
    assert max(len(event.machines) for event in together) <= POOL
    assert all(18 <= event.at % DAY / 3600 < 20 for event in together)


def test_a_bag_gives_up_what_is_taken_out() -> None:
    bag = Bag()
    for name in ("a", "b", "c", "a"):
        bag.add(name)
    bag.discard("a")
    bag.discard("x")
    assert sorted(bag) == ["b", "c"] and len(bag) == 2 and "a" not in bag
