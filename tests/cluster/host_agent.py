"""A model host for tests of machine actions: takes its streams, binds the ports, carries out the machines' power.

Stateful, with failure switches; hosts of one `Rack` can hand a machine to each other.
"""

import asyncio
from collections.abc import Callable, Iterator

from msgspec.structs import replace

from tests.cluster.feed_agent import FeedAgent
from weft.control.publisher import Publisher
from weft.model.hypervisor import CheckpointState, HypervisorState, MachineState
from weft.model.records import Errand, Machine, PortBinding, PortLearning
from weft.model.values import pack_ip
from weft.wire.messages import (
    HOST_STREAM,
    HOST_UNREACHABLE,
    Brought,
    Facts,
    Insist,
    MachineFact,
    PortFact,
    Problem,
    ProviderFacts,
    SeenMac,
    Unused,
)


class Host(FeedAgent):
    def __init__(self, server: str, rack: "Rack", hypervisor: str = "lab"):
        super().__init__(server, hypervisor)
        self.rack = rack
        self.machines: dict[str, str] = {}
        self.failures: dict[str, tuple[int, str]] = {}
        self.refuses = ""
        """Set: every verb fails, and says this."""
        self.objects: Callable[[], str] | None = None
        """Set: what it says before each verb goes into `refuses`."""
        self.binds_ports = True
        self.stuck = False
        """Set: applies and acks, but carries out nothing."""
        self.copies = False
        """Set: a migration, once begun, is under way until it is cleared; withdrawing it does not end it."""
        self.copying: dict[str, Machine] = {}
        self.stranded: dict[str, str] = {}
        """Machines of which nobody knows whether they run here, since a migration was lost: what somebody has to do."""
        self.removed: list[str] = []
        """Machines whose record was taken away here while they ran here or were on their way here."""
        self.seen: tuple[SeenMac, ...] = ()
        self.looked = True
        self.brought: dict[tuple[str, str], int] = {}
        """What its guests use, by interface and address: when they announced it last. Told while they have it not."""
        self.unused: dict[tuple[str, str], bool] = {}
        """What they have and do not answer for: whether for too long."""
        self.gone: set[str] = set()
        """Machines that the hypervisor had and lists no more; they are not made anew."""
        self.states: dict[str, MachineState] | None = None
        """What its hypervisor tells, by its id of the machine; the power of ours is as in `machines`. None: nothing."""
        self.silent = False
        """Set: its hypervisor does not answer the agent."""
        self.dynamic_range: tuple[int, int] | None = None
        self.by_hand: set[str] = set()
        """Machines that another hand made run or stop: left until the record follows."""
        self.errands: dict[str, tuple[int, str]] = {}
        """What came of the last errand of each machine; only a host with `states` does any."""
        self.at_a_time = 1
        """So many errands are done in a turn."""
        self.provider: ProviderFacts | None = None
        """What it says of its place on the provider network."""
        self._told: Facts | None = None

    def work(self) -> None:
        """What a host does in one turn of its loop."""
        if not self.connected:
            return
        self.deliver()
        for word in self.words:
            if isinstance(word, Insist):
                self.by_hand.discard(word.machine)
        if not self.stuck:
            self._carry_out()
        self._report()

    def records(self, kind: type) -> list:
        return [one for one in self.streams.get(HOST_STREAM, {}).values() if isinstance(one, kind)]

    def _carry_out(self) -> None:
        wanted = {record.machine: record for record in self.records(Machine)}
        for name in self.machines.keys() - wanted.keys():
            del self.machines[name]
            self.removed.append(name)
        if not self.copies:
            for name, record in self.copying.items():
                self._hand_over(name, record)
            self.copying.clear()
        left = self.at_a_time
        for name, record in wanted.items():
            if record.errand is None or self.errands.get(name, (0, ""))[0] == record.errand.number:
                self._one(name, record)
            elif left:
                left -= 1
                self._errand(name, record.errand)

    def _errand(self, name: str, errand: Errand) -> None:
        self.errands[name] = (errand.number, self.refuses)
        if errand.kind == "checkpoint" and not self.refuses:
            assert self.states is not None
            taken = CheckpointState(f"{name}-{errand.number}", errand.name)
            self.states[name] = replace(self.states[name], checkpoints=(*self.states[name].checkpoints, taken))

    def keep(self, *names: str) -> None:
        """Its hypervisor keeps these machines of ours, by their names for ids."""
        self.states = {name: MachineState(name, "Off", name=name) for name in names}

    def _one(self, name: str, record: Machine) -> None:
        if self.objects is not None:
            self.refuses = self.objects()
        power = self.machines.get(name, "Off")
        if name in self.by_hand and record.power == power:
            self.by_hand.discard(name)
        if name in self.gone or name in self.by_hand or name in self.stranded:
            return
        if record.move_to and power == "Running":
            if self.refuses:
                self.failures[name] = (record.generation, self.refuses)
            elif self.copies:
                self.copying[name] = record
            else:
                self._hand_over(name, record)
        elif record.power == "Incoming" or record.power == power:
            self.failures.pop(name, None)
        elif self.refuses:
            self.failures[name] = (record.generation, self.refuses)
        elif not record.move_to:
            self.machines[name] = record.power

    def _hand_over(self, name: str, record: Machine) -> None:
        if self.refuses:
            self.failures[name] = (record.generation, self.refuses)
            return
        self.rack.hosts[record.move_to.lower()].machines[name] = "Running"
        del self.machines[name]

    def _report(self) -> None:
        state = "bound" if self.binds_ports else "absent"
        ports = tuple(PortFact(one.instance_id, state) for one in self.records(PortBinding))
        told = [record.machine for record in self.records(Machine)]
        names = dict.fromkeys([*told, *self.machines, *self.failures])
        facts = Facts(
            tuple(self._fact(name) for name in names),
            ports,
            (Problem(HOST_UNREACHABLE, "the hypervisor does not answer"),) if self.silent else (),
            seen=self.seen,
            looked=self.looked,
            hypervisor=self._hypervisor(),
            brought=tuple(Brought(own, ip, at) for own, ip, at in self._guests(self.brought, has=False)),
            provider=self.provider,
            unused=tuple(Unused(own, ip, aged) for own, ip, aged in self._guests(self.unused, has=True)),
        )
        if facts != self._told:
            self._told = facts
            self.say(facts)

    def _guests(self, told: dict, *, has: bool) -> Iterator[tuple]:
        """Of the interfaces here whose guests may bring addresses."""
        names = {one.network_interface: one.instance_id for one in self.records(PortBinding)}
        learnt = {one.instance_id: one.learnt for one in self.records(PortLearning)}
        for (name, text), value in sorted(told.items()):
            own, address = names.get(name), pack_ip(text)
            if own in learnt and (address in learnt[own]) is has:
                yield own, address, value

    def _fact(self, name: str) -> MachineFact:
        generation, failure = self.failures.get(name, (0, ""))
        failure, migrating = self.stranded.get(name, failure), name in self.copying or name in self.stranded
        presence = "here" if name in self.machines else "gone" if name in self.gone else ""
        power = self.machines.get(name, "Off")
        own = next((key for key, one in (self.states or {}).items() if one.machine == name), "")
        by_hand = name in self.by_hand
        ended = self.errands.get(name, (0, ""))
        return MachineFact(name, power, generation, failure, migrating, presence, own, by_hand, *ended)

    def _hypervisor(self) -> HypervisorState | None:
        if self.states is None or self.silent:
            return None
        told = (
            replace(
                one,
                id=key,
                power=self.machines.get(one.machine, "Off") if one.machine else one.power,
                stranded=self.stranded.get(one.machine, ""),
            )
            for key, one in self.states.items()
        )
        return HypervisorState(tuple(told), self.dynamic_range, boot="b1")

    def change(self, name: str, power: str) -> None:
        """Another hand starts or stops a machine of ours here."""
        self.machines[name] = power
        self.by_hand.add(name)

    def delete_outside(self, name: str) -> None:
        """Another hand takes the machine from the hypervisor."""
        del self.machines[name]
        self.gone.add(name)

    def bring_back(self, name: str, power: str = "Off") -> None:
        self.gone.discard(name)
        self.machines[name] = power

    def connect(self, publisher: Publisher) -> None:
        self._told = None
        super().connect(publisher)


class Rack:
    """The hosts, worked by one task."""

    def __init__(self, *servers: str, hypervisor: str = "lab"):
        self.hosts = {server: Host(server, self, hypervisor) for server in servers}
        self._task: asyncio.Task | None = None

    def connect(self, publisher: Publisher) -> None:
        for host in self.hosts.values():
            if not host.connected:
                host.connect(publisher)

    async def __aenter__(self) -> "Rack":
        self._task = asyncio.create_task(self._work())
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for host in self.hosts.values():
            await host.disconnect()

    async def _work(self) -> None:
        while True:
            for host in self.hosts.values():
                host.work()
            await asyncio.sleep(0.001)
