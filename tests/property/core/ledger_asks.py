"""What the ledger machine asks for: an installation so small that pools run full and names are used again."""

from typing import Any

from hypothesis import strategies as st
from msgspec import structs

from tests.unit.core.world import World, put_command, server_on
from weft.core.commands import Command, NoteSeen, Reserve, Seen
from weft.core.host_facts import ForgetAddress, LearnAddress, NoteCheckpoints, NoteMachine, NoteMacs
from weft.model.hypervisor import AdapterState, CheckpointState
from weft.model.values import pack_ip

INTERFACES = st.sampled_from([f"n{at}" for at in range(6)])
MACHINES = st.sampled_from(["m1", "m2", "m3"])
SERVERS = st.sampled_from(["h1", "h2"])
NETWORKS = st.sampled_from(["blue", "red"])
SUBNETS = st.sampled_from(["blue/subnets/web", "blue/subnets/six", "blue/subnets/db", "red/subnets/web"])
STATIC_MACS = st.sampled_from(["020000000001", "020000000004", "101010101105", "101010101106", "FF0000000000"])
PLAN = "/weft/addressPlans/hv"
REQUESTS = st.sampled_from(["r1", "r2"])
SEEN_MACS = st.sampled_from([0x020000000002, 0x020000000011, 0x101010101105, 0x00155D000001])
NOTED_MACS = st.sampled_from([0, 0x020000000001, 0x020000000002, 0x020000000003, 0x101010101105, 0x00155D000001])
LISTS = st.sampled_from(["l1", "l2"])
GUESTS = {"guestSpecifiedAddresses": {"enabled": True, "maximumPerInterface": 2}}
BROUGHT = st.sampled_from([*(f"10.1.1.{at}" for at in range(8)), "10.1.2.3", "fd00::3", "fd00::4"]).map(pack_ip)
POOLS = {"p1": ("020000000000", "020000000004"), "p2": ("020000000010", "020000000011")}


@st.composite
def named_lists(draw: Any) -> dict[str, Any]:
    """Mostly none, sometimes one that may not be there."""
    name = draw(st.sampled_from(["", "", "", "l1", "L1", "l2"]))
    return {"accessControlList": {"resourceRef": f"/accessControlLists/{name}"}} if name else {}


@st.composite
def put_lists(draw: Any) -> Command:
    rule = {"action": "Deny", "type": "Inbound", "priority": 200, "protocol": "All"}
    ends = {f"{end}AddressPrefix": draw(st.sampled_from(["*", "INTERNET"])) for end in ("source", "destination")}
    rule |= ends | {f"{end}PortRange": "*" for end in ("source", "destination")}
    chosen = draw(st.lists(st.just({"resourceId": "r", "properties": rule}), max_size=1))
    return put_command(f"/accessControlLists/{draw(LISTS)}", {"aclRules": chosen})


@st.composite
def put_tables(draw: Any) -> Command:
    hop = draw(st.sampled_from(["10.1.1.2", "10.1.2.3", "10.9.9.9"]))
    route = {"addressPrefix": "10.7.0.0/16", "nextHopType": "VirtualAppliance", "nextHopIpAddress": hop}
    return put_command("/routeTables/t1", {"routes": [{"resourceId": "r", "properties": route}]})


@st.composite
def peerings(draw: Any, own: str) -> list[dict[str, Any]]:
    """To the other network, to one with the same addresses, to one that is never there."""
    peers = draw(st.lists(st.sampled_from(["blue", "red", "far"]), max_size=2, unique=True))
    return [
        {"resourceId": f"to-{one}", "properties": {"remoteVirtualNetwork": {"resourceRef": f"/virtualNetworks/{one}"}}}
        for one in peers
        if one != own
    ]


@st.composite
def put_far(draw: Any) -> Command:
    """A network that can be a peer of both others."""
    body = {
        "logicalNetwork": {"resourceRef": "/logicalNetworks/hnvpa"},
        "addressSpace": {"addressPrefixes": ["172.16.0.0/16"]},
        "virtualNetworkPeerings": draw(peerings("far")),
    }
    return put_command("/virtualNetworks/far", body)


@st.composite
def configurations(draw: Any) -> list[dict[str, Any]]:
    found = []
    for name in draw(st.lists(st.sampled_from(["a", "b"]), max_size=2, unique=True)):
        subnet = draw(SUBNETS)
        base = "fd00::" if subnet.endswith("six") else ("10.1.2." if subnet.endswith("db") else "10.1.1.")
        properties = {"subnet": {"resourceRef": f"/virtualNetworks/{subnet}"}, **draw(named_lists())}
        if draw(st.booleans()):
            address = f"{base}{draw(st.integers(1, 6))}"
            properties |= {"privateIPAllocationMethod": "Static", "privateIPAddress": address}
        found.append({"resourceId": name, "properties": properties})
    return found


@st.composite
def put_interfaces(draw: Any) -> Command:
    body: dict[str, Any] = {"privateMacAllocationMethod": "Dynamic", "ipConfigurations": draw(configurations())}
    if draw(st.booleans()):
        body |= {"privateMacAllocationMethod": "Static", "privateMacAddress": draw(STATIC_MACS)}
    elif draw(st.booleans()):
        body["strategy"] = draw(st.sampled_from(["hostRange", "random"]))
        if draw(st.booleans()):
            body["server"] = {"resourceRef": f"/servers/{draw(SERVERS)}"}
    if draw(st.booleans()):
        body["reservation"] = {"resourceRef": f"/weft/reservations/{draw(REQUESTS)}"}
    return put_command(f"/networkInterfaces/{draw(INTERFACES)}", body)


@st.composite
def put_pools(draw: Any) -> Command:
    name = draw(st.sampled_from(sorted(POOLS)))
    first, last = POOLS[name]
    excluded = [{"first": first[:-1] + str(draw(st.integers(0, 1)))}] if draw(st.booleans()) else []
    body = {"startMacAddress": first, "endMacAddress": last, "excluded": excluded}
    body |= {"drain": draw(st.booleans()), "releaseInactiveAfterSeconds": draw(st.sampled_from([0, 20]))}
    if draw(st.booleans()):
        body["hostGroup"] = "rack1"
    return put_command(f"/macPools/{name}", body | {"coolDownSeconds": draw(st.sampled_from([0, 10]))})


@st.composite
def put_plans(draw: Any) -> Command:
    body = {"prefix": "00-15-5D-00-00", "clusterDigits": 0, "interfaceDigits": 1}
    if draw(st.booleans()):
        body = {"prefix": "00-15-5D-00-0", "clusterDigits": 1, "interfaceDigits": 1}
    return put_command(PLAN, body | {"coolDownSeconds": draw(st.sampled_from([0, 10]))})


@st.composite
def reserves(draw: Any) -> Command:
    pools = ["/macPools/p1", "/macPools/p1", "/virtualNetworks/blue/subnets/web", "/servers/h1/macRange"]
    return Reserve(
        pool=draw(st.sampled_from(pools)),
        count=draw(st.integers(1, 3)),
        contiguous=draw(st.booleans()),
        until=draw(st.sampled_from([None, 1_700_000_030.0, 1_700_009_000.0])),
        request_id=draw(REQUESTS),
    )


@st.composite
def sightings(draw: Any) -> Command:
    ports = st.builds(
        Seen, SEEN_MACS, st.sampled_from(["vnet1", "vnet2"]), vlan=st.sampled_from([0, 7]), learnt=st.booleans()
    )
    return NoteSeen(draw(SERVERS), tuple(draw(st.lists(ports, max_size=3))))


def guests() -> st.SearchStrategy[dict[str, Any]]:
    """Whether guests of a subnet may bring addresses."""
    return st.sampled_from([{}, GUESTS, GUESTS])


@st.composite
def claims(draw: Any, instances: list[str]) -> Command:
    """What a guest brings, or does not use any more."""
    instance, address = draw(st.sampled_from(instances)), draw(BROUGHT)
    if draw(st.integers(0, 3)) == 0:
        return ForgetAddress(instance, address, "not used")
    return LearnAddress(instance, address, draw(st.booleans()), draw(st.booleans()))


@st.composite
def put_networks(draw: Any) -> Command:
    name = draw(NETWORKS)
    pair = {"dualStackSubnet": {"resourceRef": f"/virtualNetworks/{name}/subnets/six"}} if draw(st.booleans()) else {}
    vsid = {"virtualSubnetId": draw(st.sampled_from([6001, 6002]))} if draw(st.booleans()) else {}
    choices = {
        "web": {"addressPrefix": draw(st.sampled_from(["10.1.1.0/29", "10.1.1.0/30"])), **pair, **draw(guests())},
        "six": {"addressPrefix": "fd00::/125", "coolDownSeconds": draw(st.sampled_from([0, 20])), **draw(guests())},
        "db": {"addressPrefix": "10.1.2.0/29", **vsid},
    }
    chosen = draw(st.lists(st.sampled_from(sorted(choices)), unique=True))
    body = {
        "logicalNetwork": {"resourceRef": "/logicalNetworks/hnvpa"},
        "addressSpace": {"addressPrefixes": ["10.0.0.0/8", "fd00::/32"]},
        "subnets": [{"resourceId": one, "properties": choices[one] | draw(named_lists())} for one in chosen],
        "virtualNetworkPeerings": draw(peerings(name)),
    }
    if draw(st.integers(0, 3)) == 0:
        for entry in body["subnets"]:
            entry["properties"]["routeTable"] = {"resourceRef": "/routeTables/t1"}
    return put_command(f"/virtualNetworks/{name}", body)


@st.composite
def put_machines(draw: Any, interfaces: st.SearchStrategy[str] = INTERFACES) -> Command:
    chosen = draw(st.lists(interfaces, max_size=2, unique=True))
    body = {
        "server": {"resourceRef": f"/servers/{draw(SERVERS)}"},
        "networkInterfaces": [{"resourceRef": f"/networkInterfaces/{one}"} for one in chosen],
        "powerState": draw(st.sampled_from(["Off", "Running"])),
    }
    return put_command(f"/weft/virtualMachines/{draw(MACHINES)}", body)


@st.composite
def put_servers(draw: Any) -> Command:
    name = draw(SERVERS)
    asked = {"providerAddresses": [f"192.168.{name[1]}.{draw(st.integers(9, 12))}"]} if draw(st.booleans()) else {}
    body = server_on(f"pa{name[1]}") | asked
    if draw(st.booleans()):
        asked["addressPlan"] = {"resourceRef": PLAN}
        asked["clusterNumber"] = draw(st.integers(0, 1))
    if draw(st.booleans()):
        asked["dynamicMacRange"] = {"first": "00155D000000", "last": draw(st.sampled_from(["00155D000007", "1"]))}
    if draw(st.integers(0, 3)) == 0:
        asked["wantedDynamicMacRange"] = {"first": "00155D000100", "last": draw(st.sampled_from(["00155D0001FF", "1"]))}
    body |= asked | {"hostGroup": draw(st.sampled_from(["", "rack1"]))}
    body["networkInterfaces"][0]["properties"]["mac"] = draw(st.sampled_from(["", "020000000004", "101010101106"]))
    return put_command(f"/servers/{name}", body)


@st.composite
def notes(draw: Any, machines: st.SearchStrategy[str], instances: list[str]) -> Command:
    """What a host's hypervisor says of a machine, true or not."""
    adapter = st.builds(AdapterState, NOTED_MACS, st.sampled_from(["", *instances]))
    adapters = st.lists(adapter, max_size=3).map(tuple)
    machine, server = draw(machines), draw(SERVERS)
    match draw(st.integers(0, 3)):
        case 0:
            power, own = draw(st.sampled_from(["", "Off", "Running", "Saved"])), draw(st.sampled_from(["", "v1", "v2"]))
            return NoteMachine(machine, server, power, "hyperv" if own else "", own)
        case 1:
            checkpoint = st.builds(CheckpointState, st.sampled_from(["c1", "c2"]), st.sampled_from(["one", "zwölf"]))
            every = draw(st.lists(checkpoint, max_size=2, unique_by=lambda one: one.id))
            found = [structs.replace(one, adapters=draw(adapters)) for one in every]
            return NoteCheckpoints(machine, server, tuple(found))
        case _:
            return NoteMacs(machine, server, draw(adapters))


DELETES = st.one_of(
    INTERFACES.map(lambda one: f"/networkInterfaces/{one}"),
    INTERFACES.map(lambda one: f"/networkInterfaces/{one}/ipConfigurations/a"),
    MACHINES.map(lambda one: f"/weft/virtualMachines/{one}"),
    SUBNETS.map(lambda one: f"/virtualNetworks/{one}"),
    NETWORKS.map(lambda one: f"/virtualNetworks/{one}"),
    st.sampled_from(["/routeTables/t1", "/virtualNetworks/far", "/virtualNetworks/blue/virtualNetworkPeerings/to-far"]),
    LISTS.map(lambda one: f"/accessControlLists/{one}"),
    SERVERS.map(lambda one: f"/servers/{one}"),
    st.sampled_from(sorted(POOLS)).map(lambda one: f"/macPools/{one}"),
    st.just("/logicalNetworks/hnvpa/subnets/pa2"),
    st.just(PLAN),
    REQUESTS.map(lambda one: f"/weft/reservations/{one}"),
).map(World.delete_command)

WRITES = st.one_of(
    put_interfaces(),
    put_interfaces(),
    put_interfaces(),
    put_machines(),
    put_pools(),
    put_networks(),
    put_lists(),
    put_tables(),
    put_far(),
    put_servers(),
    put_plans(),
    reserves(),
    DELETES,
)
