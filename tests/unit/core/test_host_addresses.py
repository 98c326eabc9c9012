"""A host's own range as a pool: the same counts and addresses as the ledger has, whoever gives them away."""

from typing import Any

import pytest

from tests.unit.core.world import World, static_interface
from weft.core.host_addresses import HostRange, pool_of, range_of, seen_by
from weft.core.pools import Pool
from weft.model.hypervisor import AdapterState, CheckpointState, HypervisorState, MachineState

FIRST = 0x00155D000000
OWN = HostRange(FIRST, FIRST + 0xFF, "dynamicMacRange")


@pytest.fixture
def world() -> World:
    return World()


def states(pool: Pool) -> dict[str, list[int]]:
    return {
        state: [at for low, high in s.used_ranges() for at in range(low, high + 1)]
        for state, s in pool.by_state.items()
    }


def taken(pool: Pool) -> list[int]:
    return [at for low, high in pool.taken.used_ranges() for at in range(low, high + 1)]


def put_mac(world: World, name: str, mac: str) -> None:
    world.put(f"/networkInterfaces/{name}", static_interface(mac, None))


def pools(world: World, *bounds: tuple[str, str], **more: Any) -> None:
    for at, (first, last) in enumerate(bounds):
        body = {"startMacAddress": f"00-15-5D-00-{first}", "endMacAddress": f"00-15-5D-00-{last}", **more}
        world.put(f"/macPools/p{at}", body)


def test_it_has_what_lies_in_no_pool_and_in_several(world: World) -> None:
    pools(world, ("00-10", "00-1F"), ("00-F0", "01-0F"), ("02-00", "02-FF"))
    for at, mac in enumerate(("00-05", "00-12", "00-FF", "01-00", "02-07", "00-EF")):
        put_mac(world, f"n{at}", f"00-15-5D-00-{mac}")
    pool = pool_of(world.state, "/servers/h1", OWN)
    assert states(pool) == {"assigned": [0x05, 0x12, 0xEF, 0xFF]}
    assert taken(pool) == [0x05, 0x12, 0xEF, 0xFF]
    assert pool.capacity == 256


def test_of_a_pool_that_begins_before_it_only_what_is_in_it(world: World) -> None:
    pools(world, ("00-F0", "01-0F"))
    for at, mac in enumerate(("00-F5", "01-05")):
        put_mac(world, f"n{at}", f"00-15-5D-00-{mac}")
    pool = pool_of(world.state, "/servers/h1", HostRange(FIRST + 0x100, FIRST + 0x1FF, "dynamicMacRange"))
    assert states(pool) == {"assigned": [5]}


def test_what_cools_and_what_is_excluded_in_a_pool_is_not_free(world: World) -> None:
    reason = {"first": "00-15-5D-00-00-FE", "last": "00-15-5D-00-01-02", "reason": "printers"}
    beyond = {"first": "00-15-5D-00-01-08", "last": "00-15-5D-00-01-09", "reason": "more"}
    pools(world, ("00-F0", "01-0F"), excluded=[reason, beyond])
    put_mac(world, "n2", "00-15-5D-00-01-0A")
    put_mac(world, "n1", "00-15-5D-00-00-F3")
    world.do(World.delete_command("/networkInterfaces/n1"))
    pool = pool_of(world.state, "/servers/h1", OWN)
    assert states(pool) == {"cooling": [0xF3]}
    assert taken(pool) == [0xF3, 0xFE, 0xFF]
    assert pool.why_excluded(FIRST + 0xFF) == "printers"


def test_what_only_the_hypervisor_knows_of_is_foreign(world: World) -> None:
    put_mac(world, "n1", "00-15-5D-00-00-05")
    pool = pool_of(world.state, "/servers/h1", OWN, (FIRST + 5, FIRST + 6, FIRST - 1, FIRST + 0x100))
    assert states(pool) == {"assigned": [5], "foreign": [6]}


def test_who_has_an_address_by_a_hypervisors_word() -> None:
    point = CheckpointState("c", "before", (AdapterState(1), AdapterState(2)))
    machine = MachineState(
        "", "Off", id="X", name="desk 1", adapters=(AdapterState(1), AdapterState(0)), checkpoints=(point,)
    )
    other = MachineState("web1", "Off", adapters=(AdapterState(3),))
    assert seen_by(HypervisorState((machine, other))) == {1: "desk 1", 2: "desk 1, checkpoint before", 3: "web1"}
    assert seen_by(None) == {}


def test_which_range_is_a_hosts_own(world: World) -> None:
    def own(**body: Any) -> HostRange | None:
        return range_of(world.put("/servers/h1", body).resource)

    world.put("/weft/addressPlans/plan", {})
    plan = {"addressPlan": {"resourceRef": "/weft/addressPlans/plan"}}
    assert own() is None
    assert own(**plan) == HostRange(FIRST, FIRST + 0xFFF, "macRange")
    assert own(**plan, dynamicMacRange={"first": "00-15-5D-00-00-00", "last": "00-15-5D-00-00-FF"}) == OWN
