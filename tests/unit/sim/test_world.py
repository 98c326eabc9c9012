"""What the world sees: duplicates by L2 domain, identities that change, starts that fail."""

import pytest

from weft.model.values import Mac
from weft.sim import events
from weft.sim.cluster import Fill, View
from weft.sim.world import World


class Told:
    """A cluster that is what it is told to be."""

    def __init__(self) -> None:
        self.views: dict[str, View] = {}
        self.failing = 0

    def happen(self, event: events.Event) -> int:
        return self.failing

    def view(self, machine: str) -> View | None:
        return self.views.get(machine)

    def fill(self) -> Fill:
        return Fill(3, 4, 0.75)


class Stage:
    """A world, and the machines that a test puts into it."""

    def __init__(self) -> None:
        self.cluster = Told()
        self.world = World(self.cluster)

    def add(self, machine: str, mac: int, domain: int = 0) -> None:
        self.world.live(events.Created(0, machine, "host1", domain))
        self.runs(machine, mac)

    def runs(self, machine: str, mac: int) -> None:
        self.cluster.views[machine] = View(Mac(mac), True)
        self.world.live(events.Started(1, machine))

    def rests(self, machine: str, mac: int) -> None:
        self.cluster.views[machine] = View(Mac(mac), False)
        self.world.live(events.Stopped(2, machine))


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_pairs_are_counted_in_each_domain(stage: Stage) -> None:
    for name in ("a", "b", "c"):
        stage.add(name, 7)
    stage.add("elsewhere", 7, domain=1)
    stage.add("other", 8)
    assert (stage.world.duplicates, stage.world.duplicates_ever) == (3, 3)
    assert stage.world.hit == {"a", "b", "c"}
    assert stage.world.twins() == [(7, ("a", "b", "c"))]
    stage.rests("b", 7)
    assert (stage.world.duplicates, stage.world.duplicates_peak, stage.world.duplicates_ever) == (1, 3, 3)
    stage.runs("b", 7)
    assert (stage.world.duplicates, stage.world.duplicates_ever) == (3, 5)


def test_machines_that_are_off_or_have_zeros_are_no_duplicates(stage: Stage) -> None:
    stage.add("a", 0)
    stage.add("b", 0)
    stage.add("c", 7)
    stage.add("d", 8)
    stage.rests("d", 7)
    assert stage.world.duplicates == 0


def test_a_deleted_machine_is_forgotten(stage: Stage) -> None:
    stage.add("a", 7)
    stage.add("b", 7)
    del stage.cluster.views["a"]
    stage.world.live(events.Deleted(3, "a"))
    assert stage.world.duplicates == 0
    assert stage.world.sample(4).running == 1


def test_a_clone_is_in_the_domain_of_its_source(stage: Stage) -> None:
    stage.add("a", 7, domain=3)
    stage.world.live(events.Cloned(1, "b", "a", "host1"))
    stage.runs("b", 7)
    assert stage.world.duplicates == 1


def test_an_identity_changes_when_a_machine_runs_with_another_address_than_before(stage: Stage) -> None:
    stage.add("a", 7)
    stage.rests("a", 9)
    assert stage.world.changed == 0
    stage.runs("a", 7)
    assert stage.world.changed == 0
    stage.runs("a", 9)
    assert stage.world.changed == 1
    stage.runs("a", 7)
    assert stage.world.changed == 2


def test_a_first_address_is_no_change(stage: Stage) -> None:
    stage.add("a", 0)
    stage.rests("a", 0)
    stage.runs("a", 7)
    assert stage.world.changed == 0


def test_failed_starts_add_up_and_samples_say_all(stage: Stage) -> None:
    stage.cluster.failing = 2
    stage.world.live(events.HostDied(5, "host1", ()))
    seen = stage.world.sample(6)
    assert (seen.at, seen.failed, seen.used, seen.capacity, seen.fullest) == (6, 2, 3, 4, 0.75)
