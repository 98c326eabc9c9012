"""Three hosts of one network, each with its own view of the records: what moves and tunnels are tried on."""

from weft.agent.flows.onward import MOST
from weft.agent.reconcile import Reconciler
from weft.fakes import packet as p
from weft.fakes.network import ProviderNetwork
from weft.fakes.switch import FakeSwitch
from weft.model.hypervisor import MachineState
from weft.model.records import (
    LookupRecord,
    Machine,
    NeededNetwork,
    NetworkSettings,
    PortBinding,
    PortLimits,
    ProviderAddress,
    SubnetRecord,
    TunnelEndpoint,
)
from weft.model.values import InstanceId, Mac, PackedIp, Rdid, Vsid, pack_ip

RDID, VSID = Rdid(7), Vsid(6001)
PLACES = {name: pack_ip(f"192.168.1.{n}") for n, name in enumerate("abc", 1)}
LEGION = [f"many{n}" for n in range(1, 2 * MOST + 5)]
MANY = LEGION[: MOST + 2]
MACS = {name: Mac(0x001DD8B70000 + n) for n, name in enumerate(("sender", "mover", "stays", "other", *LEGION), 1)}
TWINS = ("mover", "twin", "third")
MACS |= dict.fromkeys(TWINS, MACS["mover"])
ADDRESSES = {name: tuple(pack_ip(text % n) for text in ("10.0.0.%d", "fd00::%d")) for n, name in enumerate(MACS, 1)}


class Cluster:
    """a has the sender; the mover goes from b to c; each host has its own view of the records."""

    def __init__(self, at, encrypted=False):
        self.network = ProviderNetwork()
        self.switches = {name: FakeSwitch(name, self.network, [place]) for name, place in PLACES.items()}
        self.told = {name: Reconciler() for name in PLACES}
        self.at = dict(at)
        for host, told in self.told.items():
            told.put(0, (11, PLACES[host]), ProviderAddress(PLACES[host], 24, pack_ip("192.168.1.254"), "pa"))
            told.put(0, (12, RDID), NeededNetwork(RDID, "/virtualNetworks/blue"))
            records = [NetworkSettings(RDID, "nvgre", "/virtualNetworks/blue", encrypted=encrypted)]
            records += [SubnetRecord(VSID, pack_ip("10.0.0.0"), 24, pack_ip("10.0.0.254"))]
            records += [TunnelEndpoint(place) for place in PLACES.values()]
            for record in records:
                told.put(RDID, record.key, record)
            for name in at:
                self.know(host, name, at[name])
        for name, host in at.items():
            self.plug(name, host)

    def know(self, host, name, where):
        """A host's records say that a machine is there."""
        for address in ADDRESSES[name]:
            record = LookupRecord(VSID, address, MACS[name], PLACES[where])
            self.told[host].put(RDID, record.key, record)

    def bind(self, name, host, to=""):
        forward = PLACES[to] if to else PackedIp(b"")
        instance = InstanceId(name)
        binding = PortBinding(instance, name, RDID, VSID, MACS[name], ADDRESSES[name], PLACES[host], forward_to=forward)
        self.told[host].put(0, binding.key, binding)

    def plug(self, name, host):
        self.switches[host].plug(name, name, MACS[name])
        self.bind(name, host)

    async def settle(self):
        for host, told in self.told.items():
            for _ in range(4):
                told.switch_is(await self.switches[host].facts())
                told.switch_has((await self.switches[host].dump()).flows)
                change = told.plan(True)
                told.done(change, await self.switches[host].apply(change))

    async def move(self, knowing="", handing_over=False):
        """The mover runs at c; only the hosts that are named know it. `handing_over`: the hypervisors hold it still,
        its port at b is there, and nothing that goes there is read."""
        if handing_over:
            self.hand_over(["mover"])
        else:
            self.switches["b"].unplug("mover")
        self.cross("mover", knowing)
        await self.settle()

    def hand_over(self, names):
        """Hypervisors hold them between b and c: none at b reads its port any more, none runs at c."""
        for host, wanted, power in (("b", "Running", "Running"), ("c", "Incoming", "Off")):
            held = host == "b"
            for name in names:
                machine = Machine(name, wanted, (InstanceId(name),), "", "c" if held else "")
                self.told[host].put(0, machine.key, machine)
            self.told[host].machines_are(MachineState(name, power, handed_over=held) for name in names)

    def cross(self, name, knowing, from_host="b", to="c"):
        """Its old host sends on to the new one, where its port is; the hosts that are named know it."""
        self.bind(name, from_host, to=to)
        self.plug(name, to)
        for host in knowing:
            self.know(host, name, to)

    def spoof(self, name):
        """Its port may send from other addresses than its own."""
        for told in self.told.values():
            limits = PortLimits(InstanceId(name), spoofing=True)
            told.put(0, limits.key, limits)

    def heard(self, name="sender", host="a"):
        """Who gets a broadcast, as often as they do."""
        return sorted(f"{one.host} {one.port}" for one in self.hears(name, host))

    def hears(self, name="sender", host="a"):
        """The copies of a broadcast that come to ports."""
        return self.hears_of(name, host, p.BROADCAST, "255.255.255.255")

    def hears_of(self, name, host, mac, group):
        """Those of what goes to a group."""
        address = ADDRESSES[name][":" in group]
        sent = p.udp((MACS[name], mac), (str(p.ipaddress.ip_address(address)), group), (9, 9), "x")
        return self.switches[host].inject(name, sent)

    def gets(self, name, to):
        """Who gets a packet for one machine."""
        ends = [str(p.ipaddress.ip_address(ADDRESSES[one][0])) for one in (name, to)]
        found = self.switches[self.at[name]].inject(name, p.udp((MACS[name], MACS[to]), ends, (9, 9), "x"))
        return [f"{one.host} {one.port}" for one in found]
