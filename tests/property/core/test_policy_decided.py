"""Increments add up to the whole also for histories that decide lets pass: commands, batches, refusals and all."""

from hypothesis import given
from hypothesis import strategies as st

from tests.property.core import decided_puts
from tests.property.core.decided_places import has_its_own, present, provided
from tests.property.core.increments import Mirror
from tests.unit.core.gateway_world import gateway
from tests.unit.core.world import (
    World,
    dynamic_interface,
    provider_network,
    put_command,
    server_on,
    static_interface,
    virtual_network,
)
from weft.core import policy
from weft.core.commands import (
    AdvanceMove,
    AdvanceProviderAddresses,
    Batch,
    BeginMove,
    Failover,
    MarkMachine,
    ReleaseAddress,
    RemoveServer,
    RenewMac,
    SetPower,
)
from weft.core.copy_commands import Clone, ImportedInterface, ImportMachine, Restore, TakeCheckpoint
from weft.core.decide import decide
from weft.core.host_facts import NoteProviderNetwork
from weft.model.errors import Refusal
from weft.model.fabric import ServerProviderNetwork, TunnelEncryption
from weft.model.leases import MAC_SCOPE
from weft.model.records import EdgeNetwork, LookupRecord, NetworkSettings, PortLearning
from weft.model.values import pack_ip

HOSTS = ("h1", "h2", "H3")
NETWORKS = ("blue", "Red")
INTERFACES = ("n1", "n2", "N3")
MACHINES = ("m1", "M2")
NEXT = {"preparing": "switching", "switching": "switched", "withdrawing": "switched", "switched": "done"}

POLICIES = ("perHost", "perHostInUse", "several", "perVirtualSubnet")


pick = st.sampled_from
subnets = pick(
    tuple(f"/virtualNetworks/{network}/subnets/{subnet}" for network in NETWORKS for subnet in ("web", "db"))
)
SHAPE = {"web": "10.1.1.0/24", "db": "10.1.2.0/24"}


def with_six(network):
    pair = {"resourceRef": f"/virtualNetworks/{network}/subnets/web"}
    return {**SHAPE, "six": {"addressPrefix": "fd00:0:1::/64", "dualStackSubnet": pair}}


shapes = pick(
    (
        SHAPE,
        {"web": "10.1.1.0/24"},
        {"web": "10.1.1.0/24", "db": {"addressPrefix": "10.1.3.0/24", "virtualSubnetId": 9000}},
        with_six("blue"),
        with_six("Red"),
    )
)


def machine(name, host, power, interfaces):
    body = {"networkInterfaces": [{"resourceRef": f"/networkInterfaces/{one}"} for one in sorted(interfaces)]}
    if host:
        body["server"] = {"resourceRef": f"/servers/{host}"}
    return put_command(f"/weft/virtualMachines/{name}", {**body, "powerState": power})


def both_families(network):
    """An interface with an address in each subnet of a dual-stack pair."""
    body = dynamic_interface(f"/virtualNetworks/{network}/subnets/web")
    second = {"subnet": {"resourceRef": f"/virtualNetworks/{network}/subnets/six"}}
    return {**body, "ipConfigurations": [*body["ipConfigurations"], {"resourceId": "ip2", "properties": second}]}


puts = st.one_of(
    st.builds(
        lambda one, shape, own: put_command(
            f"/virtualNetworks/{one}", virtual_network(shape) | {"networkVirtualizationProtocol": own}
        ),
        pick(NETWORKS),
        shapes,
        pick(("", "", "NVGRE", "VXLAN")),
    ),
    st.builds(
        lambda one, ref: put_command(f"/networkInterfaces/{one}", dynamic_interface(ref)), pick(INTERFACES[:2]), subnets
    ),
    st.builds(lambda ref: put_command("/networkInterfaces/N3", static_interface("02AA00000001", ref)), subnets),
    st.builds(
        lambda one, network: put_command(f"/networkInterfaces/{one}", both_families(network)),
        pick(INTERFACES[:2]),
        pick(NETWORKS),
    ),
    st.builds(
        machine, pick(MACHINES), pick((*HOSTS, "")), pick(("Off", "Running")), st.sets(pick(INTERFACES), max_size=2)
    ),
    st.builds(lambda one, subnet: put_command(f"/servers/{one}", server_on(subnet)), pick(HOSTS), pick(("pa1", "pa2"))),
    st.builds(
        lambda one, last: put_command(
            f"/servers/{one}", {**server_on("pa1"), "providerAddresses": [f"192.168.1.{last}"]}
        ),
        pick(HOSTS),
        st.integers(15, 18),
    ),
    st.builds(
        lambda one, policy, count: put_command(
            f"/servers/{one}", {**server_on("pa1"), "providerAddressPolicy": policy, "providerAddressCount": count}
        ),
        pick(HOSTS),
        pick(("", "", *POLICIES)),
        st.integers(0, 3),
    ),
    st.builds(
        lambda policy, count: put_command(
            "/logicalNetworks/hnvpa",
            provider_network() | {"providerAddressPolicy": policy, "providerAddressCount": count},
        ),
        pick(POLICIES),
        st.integers(1, 3),
    ),
    st.builds(
        lambda name: put_command("/virtualNetworkManager/configuration", {"networkVirtualizationProtocol": name}),
        pick(("NVGRE", "VXLAN")),
    ),
)
deletes = st.builds(
    World.delete_command,
    pick(
        (
            *(f"/virtualNetworks/{one}" for one in NETWORKS),
            *(f"/virtualNetworks/{one}/subnets/db" for one in NETWORKS),
            *(f"/networkInterfaces/{one}" for one in INTERFACES),
            *(f"/weft/virtualMachines/{one}" for one in MACHINES),
            *(f"/servers/{one}" for one in HOSTS),
        )
    ),
)
power = st.builds(SetPower, pick(MACHINES), pick(("Running", "Running", "Off", "Saved")))
step = st.tuples(st.just("move"), pick(MACHINES), pick(HOSTS), pick(("next", "next", "next", "withdrawing", "failed")))
batch = st.builds(Batch, st.lists(st.one_of(puts, deletes), max_size=5).map(tuple))
COPIES = ("c1", "C2")
anyone = pick((*MACHINES, *COPIES))
imported = st.builds(
    ImportedInterface,
    pick(("", "02AA00000001", "02-00-00-00-00-00", "00-00-00-00-00-00")),
    st.lists(pick(("10.1.1.2", "10.1.1.3", "10.1.2.2")), max_size=1).map(tuple),
    subnets,
)
waiting = pick(INTERFACES[:2]).map(
    lambda one: put_command(f"/networkInterfaces/{one}", dynamic_interface(strategy="hostRange"))
)
life = st.one_of(
    st.builds(Clone, pick(MACHINES), pick(COPIES), pick(("keep", "keep", "new")), pick((*HOSTS, "")), st.booleans()),
    st.builds(TakeCheckpoint, anyone, pick(("before", "after"))),
    st.builds(Restore, anyone, pick(("before", "after")), if_taken=pick(("refuse", "remap"))),
    st.builds(
        ImportMachine,
        pick(COPIES),
        pick(HOSTS),
        st.lists(imported, max_size=2).map(tuple),
        power=pick(("Off", "Running")),
        adopt=st.booleans(),
    ),
    st.builds(RenewMac, pick(MACHINES), pick(INTERFACES), force=st.booleans()),
    st.builds(Failover, anyone, pick(HOSTS)),
    st.builds(RemoveServer, pick(HOSTS)),
    st.builds(MarkMachine, anyone, pick(("gone", ""))),
    st.builds(ReleaseAddress, st.just(MAC_SCOPE), st.integers(0, 3).map(lambda at: (0x02 << 40) + at), st.just("x")),
    st.builds(SetPower, pick(COPIES), pick(("Running", "Running", "Off"))),
    anyone.map(lambda one: World.delete_command(f"/weft/virtualMachines/{one}")),
    waiting,
)
readdressed = st.one_of(
    st.tuples(st.just("readdress"), pick(HOSTS)),
    st.tuples(st.just("taken"), pick(HOSTS), st.sets(st.integers(10, 18), max_size=5)),
)
"""A change of provider addresses goes on; a host tells which of them other machines have."""
beside = decided_puts.beside(HOSTS, INTERFACES)
commands = st.one_of(puts, puts, step, step, power, deletes, batch, life, life, readdressed, beside, beside, beside)


class Followed:
    """A world that a publisher follows by increments; commits hold one command or several."""

    def __init__(self):
        self.world, self.mirror, self.changes, self.rdids = World(), Mirror(), [], set()
        self.world.fabric()
        for network in NETWORKS:
            self.world.put(f"/virtualNetworks/{network}", virtual_network(SHAPE))
        for host in HOSTS:
            self.world.put(f"/servers/{host}", server_on("pa1"))
        decided_puts.around(self.world)
        for interface in INTERFACES[:2]:
            self.world.interface(interface, "/virtualNetworks/blue/subnets/web")
        self.world.put("/networkInterfaces/N3", static_interface("02AA00000001", "/virtualNetworks/Red/subnets/web"))
        for name, host, interface in (("m1", "h1", "n1"), ("M2", "h2", "n2")):
            self.world.machine(name, host, "Running", interface)
        self.mirror.streams = self.whole()

    def whole(self):
        state = self.world.state
        self.rdids |= {one.properties.routing_domain_number for one in state.all("virtualNetworks")}
        found = {("network", rdid): policy.network_stream(state, rdid) for rdid in self.rdids}
        return found | {("host", host.lower()): policy.host_stream(state, host) for host in HOSTS}

    def do(self, command):
        if isinstance(command, tuple) and command[0] == "readdress":
            server = self.world.state.get("servers", command[1])
            change = server.properties.provider_address_change if server is not None else None
            generation = change.generation if change is not None else 0
            phase = "switched" if change is not None and change.phase == "preparing" else "done"
            command = AdvanceProviderAddresses(command[1], phase, generation)
        elif isinstance(command, tuple) and command[0] == "taken":
            self.world.others_have[command[1].lower()] = {
                pack_ip(f"192.168.1.{last}"): "a router" for last in command[2]
            }
            return
        elif isinstance(command, tuple) and command[0] in ("learn", "forget"):
            command = decided_puts.resolved(self.world.state, command)
            if command is None:
                return
        elif isinstance(command, tuple):
            _, name, host, phase = command
            found = self.world.state.get("virtualMachines", name)
            move = found.properties.move if found is not None else None
            command = BeginMove(name, host)
            if move is not None:
                command = AdvanceMove(name, NEXT[move.phase] if phase == "next" else phase, move.generation)
        try:
            decision = decide(self.world.state, command, self.world.now, self.world.new_id, self.world.taken_on)
        except Refusal:
            return
        for change in decision.changes:
            self.world.state.apply(change)
            self.changes.append(change)
        for host in HOSTS:
            assert provided(self.world.state, host) == present(self.world.state, host), (host, command)
            assert has_its_own(self.world.state, host), (host, command)

    def commit(self):
        self.world.state.revision += 1
        self.mirror.follow(self.world.state, self.changes)
        self.changes = []
        for stream, records in self.whole().items():
            assert self.mirror.streams.get(stream, {}) == records, stream


def follow(history):
    followed = Followed()
    for command, ends_commit in history:
        followed.do(command)
        if ends_commit:
            followed.commit()
    followed.commit()
    return followed


@given(st.lists(st.tuples(commands, st.booleans()), min_size=5, max_size=40))
def test_increments_add_up_whatever_decide_lets_pass(history):
    follow(history)


def test_a_whole_move_and_one_that_fails():
    def move(name, host, phase="next"):
        return ("move", name, host, phase), True

    followed = follow(
        [
            *(move("m1", "H3") for _ in range(4)),
            move("M2", "h1"),
            move("M2", "h1"),
            move("M2", "h1", "withdrawing"),
            move("M2", "h1", "failed"),
            (put_command("/virtualNetworks/blue", virtual_network(with_six("blue"))), False),
            (put_command("/networkInterfaces/n1", both_families("blue")), True),
            *(move("m1", "h1") for _ in range(2)),
            (SetPower("M2", "Off"), True),
            (put_command("/networkInterfaces/n2", dynamic_interface("/virtualNetworks/Red/subnets/db")), True),
        ]
    )
    state = followed.world.state
    assert state.get("virtualMachines", "m1").properties.move.phase == "switching"
    assert state.get("virtualMachines", "m1").properties.server.resource_ref == "/servers/H3"
    assert state.get("virtualMachines", "M2").properties.move is None


def test_policies_of_provider_addresses_that_change_while_machines_run_and_move():
    def network(policy, count=1):
        words = {"providerAddressPolicy": policy, "providerAddressCount": count}
        return put_command("/logicalNetworks/hnvpa", provider_network() | words), True

    def goes_on(*hosts):
        return [(("readdress", host), True) for host in hosts for _ in ("switched", "done")]

    asked = {**server_on("pa1"), "providerAddresses": ["192.168.1.18"]}
    followed = follow(
        [
            network("perVirtualSubnet"),
            *goes_on("h1", "h2"),
            (("move", "m1", "h2", "next"), True),
            (("move", "m1", "h2", "next"), True),
            (put_command("/servers/h2", asked), True),
            (("move", "m1", "h2", "next"), True),
            (("readdress", "h2"), True),
            (("move", "m1", "h2", "next"), True),
            (("readdress", "h2"), True),
            (put_command("/networkInterfaces/n2", dynamic_interface("/virtualNetworks/Red/subnets/db")), True),
            network("several", 3),
            (put_command("/servers/h2", server_on("pa1")), True),
            *goes_on("h2"),
            (("taken", "h2", {15}), True),
            (put_command("/servers/h2", {**server_on("pa1"), "providerAddressPolicy": "perHost"}), True),
            network("perHost"),
        ]
    )
    found = followed.world.state.get("servers", "h2").properties
    assert found.provider_address_change is None and found.primary_provider_addresses


def test_addresses_of_hosts_that_come_and_go_with_what_is_there():
    def network(policy):
        return put_command("/logicalNetworks/hnvpa", provider_network() | {"providerAddressPolicy": policy}), True

    moves = [(("move", "m1", host, "next"), True) for host in ("H3", "h2") for _ in range(4)]
    asked = {**server_on("pa1"), "providerAddresses": ["192.168.1.18"]}
    followed = follow(
        [
            network("perHostInUse"),
            *moves,
            (World.delete_command("/weft/virtualMachines/m1"), True),
            (put_command("/servers/h2", asked), True),
            (Failover("M2", "h1"), True),
            (("readdress", "h2"), True),
            (("readdress", "h2"), True),
            network("perVirtualSubnet"),
            network("perHostInUse"),
            (put_command("/servers/h1", {**server_on("pa1"), "providerAddressPolicy": "perHost"}), True),
            (("readdress", "h1"), True),
            (("readdress", "h1"), True),
            (World.delete_command("/weft/virtualMachines/M2"), False),
            (put_command("/servers/h1", server_on("pa1")), True),
        ]
    )
    own = {host: followed.world.state.get("servers", host).properties.provider_addresses for host in HOSTS}
    assert own == {"h1": (), "h2": ("192.168.1.18",), "H3": ()}


def test_what_is_around_networks():
    """Connections of gateways, encryption, a peering, addresses that guests bring and IPv6 rewriting, each of them told
    in the end."""
    puts = decided_puts
    able = ServerProviderNetwork(tunnel_encryption=TunnelEncryption(available=True))
    history = [
        *(NoteProviderNetwork(host, able) for host in HOSTS),
        puts.network("blue", {"guestSpecifiedAddresses": {"enabled": True}}, {}),
        puts.network("far", {"encryptionEnabled": True}, {}),
        puts.leaving("blue", 2, True),
        put_command("/gateways/g1", gateway("h1")),
        ("learn", "n1", "10.1.1.200", True),
        *(puts.on_flat(host, ("four",)) for host in HOSTS),
        puts.thin(True),
        SetPower("M2", "Off"),
        puts.thin_interface("n2", True),
        SetPower("M2", "Running"),
    ]
    followed = follow([(one, True) for one in history])
    told = [one for stream in followed.mirror.streams.values() for one in stream.values()]
    (edge,) = (one for one in told if isinstance(one, EdgeNetwork))
    assert (len(edge.legs), len(edge.tunnels)) == (2, 1)
    assert any(isinstance(one, PortLearning) and one.learnt for one in told)
    assert sum(isinstance(one, NetworkSettings) and one.encrypted for one in told) == 2
    records = [one for one in told if isinstance(one, LookupRecord)]
    assert sum(len(one.provider_address) == 16 for one in records) == 1
