"""What the life machines ask for: an installation small enough that everything happens, and commands on it.

Five MAC addresses in one pool and two in another, subnets of six hosts: pools run full, names are used again, static
addresses are chosen from what pools give.
"""

from typing import Any

from hypothesis import strategies as st

from tests.unit.core.world import provider_network, put_command, server_on, virtual_network
from weft.core.commands import Command, CreateMachine, NewInterface, Seen
from weft.core.copy_commands import ImportedCheckpoint, ImportedInterface, ImportMachine, TakeCheckpoint

INTERFACES = [f"n{at}" for at in range(5)]
MACHINES = ["m1", "m2", "m3"]
COPIES = ["c1", "c2"]
IMPORTS = ["i1", "i2"]
SERVERS = ["h1", "h2"]
NAMES = ["k1", "k2"]
"""Of checkpoints and exports."""
SUBNETS = {
    "/virtualNetworks/blue/subnets/web": "10.1.1.",
    "/virtualNetworks/blue/subnets/six": "fd00::",
    "/virtualNetworks/blue/subnets/db": "10.1.2.",
    "/virtualNetworks/red/subnets/web": "10.1.1.",
    "/logicalNetworks/lan/subnets/a": "10.9.1.",
    "/logicalNetworks/lan/subnets/b": "10.9.2.",
}
PAIR = ("/virtualNetworks/blue/subnets/web", "/virtualNetworks/blue/subnets/six")
"""A dual-stack pair, one L2 domain; so are lan's two, which one adapter carries with one VLAN."""
LAN = ("/logicalNetworks/lan/subnets/a", "/logicalNetworks/lan/subnets/b")
POOLS = {"p1": ("020000000000", "020000000004"), "p2": ("020000000010", "020000000011")}
STATIC_MACS = ["020000000001", "020000000004", "101010101105", "101010101106"]
FOREIGN_MACS = ["020000000002", "020000000011", "101010101105"]
COOL_DOWN_S = 10


def installation() -> list[Command]:
    """What every life begins with: fabric, pools, two tenants, two hosts that no agent ever connected for."""
    adapter = server_on("pa1")["networkInterfaces"][0]
    lan = [{"resourceRef": f"/logicalNetworks/lan/subnets/{name}"} for name in "ab"]
    trunk = {"resourceId": "nic2", "properties": {"logicalSubnets": lan}}
    vlan = [
        {"resourceId": name, "properties": {"addressPrefix": f"10.9.{n}.0/29", "vlanID": 10}}
        for n, name in ((1, "a"), (2, "b"))
    ]
    commands: list[Command] = [
        put_command("/logicalNetworks/hnvpa", provider_network()),
        put_command("/logicalNetworks/lan", {"networkVirtualizationEnabled": False, "subnets": vlan}),
    ]
    for name in SERVERS:
        provider = {"logicalSubnets": [{"resourceRef": f"/logicalNetworks/hnvpa/subnets/pa{name[1]}"}]}
        first = {**adapter, "properties": provider}
        commands.append(put_command(f"/servers/{name}", {"networkInterfaces": [first, trunk]}))
    commands += [put_pool(name) for name in POOLS]
    six = {"addressPrefix": "fd00::/125", "coolDownSeconds": COOL_DOWN_S}
    pair = {"dualStackSubnet": {"resourceRef": PAIR[1]}}
    web = {"addressPrefix": "10.1.1.0/29", "coolDownSeconds": COOL_DOWN_S}
    blue = {"web": web | pair, "six": six, "db": {"addressPrefix": "10.1.2.0/29", "coolDownSeconds": 0}}
    commands.append(put_command("/virtualNetworks/blue", virtual_network(blue)))
    commands.append(put_command("/virtualNetworks/red", virtual_network({"web": web})))
    return commands


def settled() -> list[Command]:
    """A machine that runs with addresses that Weft picked and can go back to where it is; one on a VLAN; one off."""
    web = [{"resourceId": "ip0", "properties": {"subnet": {"resourceRef": PAIR[0]}}}]
    nic = {"privateMacAllocationMethod": "Dynamic", "ipConfigurations": web}
    address = {"privateIPAllocationMethod": "Static", "privateIPAddress": "10.9.1.2"}
    lan = [{"resourceId": "ip0", "properties": address | {"subnet": {"resourceRef": LAN[0]}}}]
    static = {"privateMacAllocationMethod": "Static", "privateMacAddress": STATIC_MACS[2], "ipConfigurations": lan}
    return [
        put_command("/networkInterfaces/n0", nic),
        machine("m1", ["n0"], "h1", "Running"),
        TakeCheckpoint("m1", "k1"),
        put_command("/networkInterfaces/n1", static),
        machine("m2", ["n1"], "h2", "Running"),
        put_command("/networkInterfaces/n2", nic),
        machine("m3", ["n2"], "h2"),
    ]


def put_pool(name: str, excluded: bool = False, drain: bool = False, cool_down: int = COOL_DOWN_S) -> Command:
    first, last = POOLS[name]
    body: dict[str, Any] = {"startMacAddress": first, "endMacAddress": last, "coolDownSeconds": cool_down}
    body |= {"drain": drain, "releaseInactiveAfterSeconds": 30 if name == "p2" else 0}
    if excluded:
        body["excluded"] = [{"first": first, "last": first, "reason": "an appliance"}]
    return put_command(f"/macPools/{name}", body)


@st.composite
def interfaces(draw: Any, name: str | None = None, reservations: tuple[str, ...] = ()) -> Command:
    """A PUT of an interface: Dynamic or Static, in no subnet, in one, or in both of the pair."""
    places = draw(st.sampled_from([(), *((one,) for one in SUBNETS), PAIR]))
    configurations = []
    for at, subnet in enumerate(places):
        properties: dict[str, Any] = {"subnet": {"resourceRef": subnet}}
        if "/lan/" in subnet or draw(st.integers(0, 3)) == 0:
            address = f"{SUBNETS[subnet]}{draw(st.integers(2, 6))}"
            properties |= {"privateIPAllocationMethod": "Static", "privateIPAddress": address}
        configurations.append({"resourceId": f"ip{at}", "properties": properties})
    body: dict[str, Any] = {"privateMacAllocationMethod": "Dynamic", "ipConfigurations": configurations}
    if draw(st.integers(0, 2)) == 0:
        body |= {"privateMacAllocationMethod": "Static", "privateMacAddress": draw(st.sampled_from(STATIC_MACS))}
    elif draw(st.integers(0, 4)) == 0:
        body["strategy"] = "random"
    if reservations and draw(st.booleans()):
        body["reservation"] = {"resourceRef": f"/weft/reservations/{draw(st.sampled_from(reservations))}"}
    return put_command(f"/networkInterfaces/{name or draw(st.sampled_from(INTERFACES))}", body)


def machine(name: str, interfaces: list[str], server: str | None, power: str = "Off") -> Command:
    body: dict[str, Any] = {
        "networkInterfaces": [{"resourceRef": f"/networkInterfaces/{one}"} for one in interfaces],
        "powerState": power,
    }
    if server is not None:
        body["server"] = {"resourceRef": f"/servers/{server}"}
    return put_command(f"/weft/virtualMachines/{name}", body)


@st.composite
def templates(draw: Any) -> Command:
    subnets = draw(st.lists(st.sampled_from([one for one in SUBNETS if "/lan/" not in one]), max_size=2, unique=True))
    body = {"isTemplate": True, "networks": [{"subnet": {"resourceRef": one}} for one in subnets]}
    return put_command("/weft/virtualMachines/t1", body)


@st.composite
def imports(draw: Any, macs: tuple[str, ...] = ()) -> ImportMachine:
    """One adapter, with a MAC that is in use, or one that a pool gives, or one from elsewhere."""

    def adapter() -> ImportedInterface:
        subnet = draw(st.sampled_from(["", PAIR[0], "/virtualNetworks/red/subnets/web", LAN[1]]))
        ips = (f"{SUBNETS[subnet]}{draw(st.integers(2, 6))}",) if subnet and draw(st.booleans()) else ()
        return ImportedInterface(draw(st.sampled_from([*macs, *STATIC_MACS])), ips, subnet)

    checkpoints = (ImportedCheckpoint("k1", (adapter(),)),) if draw(st.integers(0, 3)) == 0 else ()
    return ImportMachine(
        name=draw(st.sampled_from(IMPORTS)),
        server=draw(st.sampled_from(SERVERS)),
        interfaces=(adapter(),),
        addresses=draw(st.sampled_from(["keep", "new", "newIfTaken"])),
        checkpoints=checkpoints,
    )


@st.composite
def sightings(draw: Any, macs: tuple[str, ...] = ()) -> tuple[Seen, ...]:
    """What an agent sees at once, of ours (`macs`) and of others; each port has one address."""
    found = []
    for port in draw(st.lists(st.sampled_from(["vnet7", "vnet8"]), max_size=2, unique=True)):
        mac = int(draw(st.sampled_from([*macs, *FOREIGN_MACS])), 16)
        learnt = draw(st.booleans())
        vlan = draw(st.sampled_from([0, 10]))
        found.append(Seen(mac, port, bridge="br0" if learnt else "", vlan=vlan, learnt=learnt))
    return tuple(found)


@st.composite
def creations(draw: st.DrawFn) -> CreateMachine:
    """A machine as a whole, on either host: addresses granted, or asked for and maybe in use."""
    subnets = draw(st.lists(st.sampled_from(sorted(SUBNETS)), max_size=2))
    macs = st.sampled_from(["", "", *STATIC_MACS])
    interfaces = tuple(NewInterface(subnet, mac_address=draw(macs)) for subnet in subnets)
    return CreateMachine(draw(st.sampled_from(["w1", "w2"])), draw(st.sampled_from(SERVERS)), interfaces=interfaces)
