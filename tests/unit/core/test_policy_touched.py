"""What a change may touch, written by hand: the cost follows the change, not the cloud."""

from msgspec.structs import replace

from tests.cluster.world import sample
from weft.core import policy
from weft.core.changes import LeaseChange, ResourceChange
from weft.model.fabric import BlankCheckpoint, MacPoolProperties, MacRange
from weft.model.records import HostSettings
from weft.model.values import pack_ip

PA2 = pack_ip("192.168.2.20")
BLUE = ("network", 60)
MAC = 0x101010101100


def touched(world):
    return policy.touched(world.state, world.taken())


def test_starting_a_machine_touches_its_lookup_record_and_itself():
    world = sample()
    world.power("blue2", "Off")
    world.taken()
    world.power("blue2", "Running")
    assert touched(world) == {
        (BLUE, (5, 6001, pack_ip("10.1.1.12"))),
        (("host", "host2"), (14, b"blue2")),
    }


def test_what_no_host_hears_of_touches_nothing():
    world = sample()
    world.taken()
    world.machine("blue2", "host2", ["blue2-eth0"], "Running")
    world.interface("blue2-eth0", MAC + 2, ("/virtualNetworks/Blue/subnets/web", "10.1.1.12"))
    world.server("host2", "192.168.2.20")
    world.protocol("NVGRE")
    world.fabric(pa1="192.168.1.0/24", pa2="192.168.2.0/24")
    world.network("Blue", 60, {"web": ("10.1.1.0/24", 6001), "db": ("10.1.2.0/24", 6002)})
    world.put(
        "macPools",
        "pool",
        MacPoolProperties(start_mac_address="02-00-00-00-00-00", end_mac_address="02-00-00-00-00-FF"),
    )
    world.changes.append(LeaseChange("mac", 5, None, None, "released"))
    assert touched(world) == set()


def test_a_new_gateway_of_a_provider_subnet_touches_the_addresses_in_it_alone():
    world = sample()
    world.taken()
    logical = world.state.get("logicalNetworks", "hnvpa").properties
    first, second = logical.subnets
    second = replace(second, properties=replace(second.properties, default_gateways=("192.168.2.254",)))
    world.put("logicalNetworks", "hnvpa", replace(logical, subnets=(first, second)))
    keys = touched(world)
    assert (("host", "host2"), (11, PA2)) in keys
    assert not any(stream == ("host", "host1") for stream, _ in keys)


def test_deleting_all_of_a_network_in_one_commit_names_every_record_that_it_had():
    world = sample()
    streams = {BLUE: policy.network_stream(world.state, 60)}
    streams |= {("host", host): policy.host_stream(world.state, host) for host in ("host1", "host2")}
    world.taken()
    for name in ("blue1", "blue2", "blue3"):
        world.delete("virtualMachines", name)
        world.drop_interface(f"{name}-eth0")
    world.delete("virtualNetworks", "blue")
    keys = touched(world)
    for stream, records in streams.items():
        gone = {(stream, key) for key in records if policy.record(world.state, stream, key) is None}
        assert gone <= keys
    assert policy.network_stream(world.state, 60) == {}


def test_a_host_is_told_what_range_to_draw_from_and_nothing_where_nothing_is_wanted():
    world = sample()
    assert policy.record(world.state, ("host", "host1"), (15,)) is None
    changes = []
    for wanted in ({"first": "00-15-5D-01-00-00", "last": "00-15-5D-01-00-FF"}, {}):
        old = world.state.get("servers", "host1")
        range_ = MacRange(**wanted) if wanted else None
        new = replace(old, properties=replace(old.properties, wanted_dynamic_mac_range=range_))
        changes.append(ResourceChange("servers", "host1", old, new))
        world.state.apply(changes[-1])
        assert policy.touched(world.state, changes[-1:]) == {(("host", "host1"), (15,))}
        told = HostSettings((0x00155D010000, 0x00155D0100FF)) if wanted else None
        assert policy.record(world.state, ("host", "host1"), (15,)) == told
        assert (policy.host_stream(world.state, "host1").get((15,))) == told
    assert policy.record(world.state, ("host", "host2"), (15,)) is None


def test_what_was_wanted_of_a_host_goes_with_its_server():
    world = sample()
    old = replace(world.state.get("servers", "host1"), resource_id="host9", instance_id="none")
    blank = (BlankCheckpoint(machine="id", checkpoint="cp"),)
    new = replace(old, properties=replace(old.properties, blank_checkpoints=blank))
    told = HostSettings(blank=(("id", "cp"),))
    for before, after, record in ((None, new, told), (new, None, None)):
        change = ResourceChange("servers", "host9", before, after)
        world.state.apply(change)
        assert (("host", "host9"), (15,)) in policy.touched(world.state, [change])
        assert policy.record(world.state, ("host", "host9"), (15,)) == record
