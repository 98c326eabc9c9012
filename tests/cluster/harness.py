"""A whole cluster in one process: state, policy, the agents' pure halves, fake switches and fake machines.

What is left out is the wire between controller and agent: `settle` hands every host the records of its streams, whole
or as increments, and lets it plan, apply and carry out verbs until nothing is left to do.
"""

from tests.cluster.world import World
from weft.agent.hypervisors import HypervisorFailure, Remove
from weft.agent.machines import World as Wanted
from weft.agent.machines import names, verb_for
from weft.agent.reconcile import Reconciler
from weft.agent.switch import SwitchUnavailable
from weft.core import policy
from weft.fakes.datacenter import Datacenter
from weft.model.records import Machine, NeededNetwork, SubnetRecord
from weft.wire.messages import HOST_STREAM

ROUNDS = 20
"""A host that is not done by then goes in circles."""


class Host:
    """One agent: what it was told, and its reconciler. `restart` is a new process without memory."""

    def __init__(self, center: Datacenter, name: str):
        self.name = name
        self.switch = center.switches[name]
        self.hypervisor = center.hypervisors[name]
        self.streams = {}
        self.restart()

    def restart(self):
        self.reconciler = Reconciler()
        self.leaving = set()
        self.in_sync = True
        for stream, records in self.streams.items():
            for key, record in records.items():
                self.reconciler.put(stream, key, record)

    def tell(self, stream, key, record):
        held = self.streams.setdefault(stream, {})
        before = held.get(key)
        if before == record:
            return
        if isinstance(before, Machine) and record is None:
            self.leaving.add(before.machine)
        if record is None:
            del held[key]
        else:
            held[key] = record
        self.reconciler.put(stream, key, record)

    def tell_whole(self, stream, records):
        for key in set(self.streams.get(stream, {})) - set(records):
            self.tell(stream, key, None)
        for key, record in records.items():
            self.tell(stream, key, record)

    def drop(self, stream):
        self.tell_whole(stream, {})
        self.streams.pop(stream, None)

    def needed(self):
        return {one.rdid for one in self.streams.get(HOST_STREAM, {}).values() if isinstance(one, NeededNetwork)}

    async def plan(self):
        """What it would do to the switch now."""
        if not self.reconciler.knows_switch:
            self.reconciler.switch_is(await self.switch.facts())
            self.reconciler.switch_has((await self.switch.dump()).flows)
        self.reconciler.switch_is(await self.switch.facts())
        self.reconciler.machines_are((await self.hypervisor.facts()).machines)
        return self.reconciler.plan(self.in_sync)

    async def apply_once(self):
        """One turn of the loop; whether there was anything to do."""
        change = await self.plan()
        if change:
            try:
                failures = await self.switch.apply(change)
            except SwitchUnavailable:
                self.reconciler.switch_lost()
                return True
            self.reconciler.done(change, failures)
            assert not [one for one in failures if one.step == "flows"], failures
            return True
        return await self.ask_once()

    async def ask_once(self):
        """The verbs that are due; whether one was carried out."""
        wanted = self.wanted()
        verbs = [verb for name in names(wanted) if (verb := verb_for(name, wanted)) is not None]
        done = 0
        for verb in verbs:
            try:
                await self.hypervisor.carry_out(verb)
                done += 1
            except HypervisorFailure:
                continue
            if isinstance(verb, Remove):
                self.leaving.discard(verb.machine)
        return done > 0

    def wanted(self):
        reconciler, subnets = self.reconciler, {}
        for stream in self.streams.values():
            for record in stream.values():
                if isinstance(record, SubnetRecord):
                    subnets[record.vsid] = (*subnets.get(record.vsid, ()), record)
        for local in reconciler.locals.values():
            if local.segment is not None:
                subnets[local.binding.vsid] = (*subnets.get(local.binding.vsid, ()), *local.segment.subnets)
        return Wanted(
            machines=reconciler.machines,
            states=reconciler.states,
            locals=reconciler.locals,
            subnets=subnets,
            mtus={one: reconciler.mtus.of(local.binding) for one, local in reconciler.locals.items()},
            leaving=self.leaving,
            in_sync=self.in_sync,
            settled=reconciler.settled,
        )


class Cluster:
    """Every server of a world, with an agent on each."""

    def __init__(self, world: World):
        self.world = world
        self.center = Datacenter()
        for server in world.state.all("servers"):
            self.center.add_host(server.resource_id, server.properties.provider_addresses)
        self.hosts = {name: Host(self.center, name) for name in self.center.switches}
        self.world.taken()

    async def settle(self):
        """Tell every host the whole of its streams, then let all work until they rest."""
        self.world.taken()
        for host in self.hosts.values():
            host.tell_whole(HOST_STREAM, policy.host_stream(self.world.state, host.name))
            for rdid in host.needed():
                host.tell_whole(rdid, policy.network_stream(self.world.state, rdid))
            self._drop_unneeded(host)
        await self.rest()

    async def follow(self, dies_after=None):
        """Tell every host only what changed since the last call, as the publisher would. `dies_after` so many hosts the
        controller dies: the others hear nothing until settle()."""
        state, changes = self.world.state, self.world.taken()
        touched = policy.touched(state, changes)
        known = {host.name: set(host.streams) for host in self.hosts.values()}
        for host in list(self.hosts.values())[:dies_after]:
            for (kind, stream), key in touched:
                if kind == policy.HOST and stream == host.name.lower():
                    host.tell(HOST_STREAM, key, policy.record(state, (kind, stream), key))
            for rdid in host.needed() - known[host.name]:
                host.tell_whole(rdid, policy.network_stream(state, rdid))
            for (kind, stream), key in touched:
                if kind == policy.NETWORK and stream in host.needed() & known[host.name]:
                    host.tell(stream, key, policy.record(state, (kind, stream), key))
            self._drop_unneeded(host)
        await self.rest()

    def _drop_unneeded(self, host):
        for stream in set(host.streams) - host.needed() - {HOST_STREAM}:
            host.drop(stream)

    async def rest(self):
        """Turn every host's loop until none has anything to do."""
        for _ in range(ROUNDS):
            busy = [await host.apply_once() for host in self.hosts.values()]
            if not any(busy):
                return
        raise AssertionError("the hosts do not come to rest")
