"""The ledger over random lives of pools, plans, reservations, subnets, interfaces, machines and ports that agents see.

After every command: deciding left the state alone; applying and reverting restores it exactly; a state loaded from the
same rows is equal; counts add up; every address has the holders that say so, never two that can meet; nothing is
granted while it cools.
"""

import copy
from types import SimpleNamespace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import structs

from tests.conftest import PROFILE, examples
from tests.property.core.ledger_asks import (
    GUESTS,
    NETWORKS,
    PLAN,
    POOLS,
    SERVERS,
    WRITES,
    claims,
    notes,
    put_interfaces,
    put_machines,
    reserves,
    sightings,
)
from tests.unit.core.world import World, provider_network, server_on
from weft.core.changes import LeaseChange
from weft.core.commands import (
    AdvanceMove,
    Batch,
    BeginMove,
    Command,
    Decision,
    EndCoolDowns,
    EndReservations,
    Path,
    Put,
    SetPower,
)
from weft.core.conflicts import conflicts, conflicts_of
from weft.core.decide import decide
from weft.core.decide.learnt_addresses import learnt_places
from weft.core.state import State
from weft.core.words import address_text
from weft.model.errors import Refusal
from weft.model.kinds import KINDS
from weft.model.leases import MAC_SCOPE, Lease
from weft.model.tenancy import GuestSpecifiedAddresses
from weft.model.values import Now, parse_mac


class Ledger(RuleBasedStateMachine):
    """One installation."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.resting: dict[tuple[str, int], Lease] = {}
        """What cools, by our own book."""

    @property
    def state(self) -> State:
        return self.world.state

    @initialize()
    def begin(self) -> None:
        self.world.put("/logicalNetworks/hnvpa", provider_network())
        for name in ("h1", "h2"):
            self.world.put(f"/servers/{name}", server_on(f"pa{name[1]}"))
        self.world.put(PLAN, {"prefix": "00-15-5D-00-00", "clusterDigits": 0, "interfaceDigits": 1})
        for name, (first, last) in POOLS.items():
            self.world.put(
                f"/macPools/{name}", {"startMacAddress": first, "endMacAddress": last, "coolDownSeconds": 10}
            )
        for name in ("blue", "red"):
            pair = {"dualStackSubnet": {"resourceRef": f"/virtualNetworks/{name}/subnets/six"}}
            subnets = {
                "web": {"addressPrefix": "10.1.1.0/29", **GUESTS} | (pair if name == "blue" else {}),
                "six": {"addressPrefix": "fd00::/125", **GUESTS},
                "db": {"addressPrefix": "10.1.2.0/29"},
            }
            body = {
                "logicalNetwork": {"resourceRef": "/logicalNetworks/hnvpa"},
                "addressSpace": {"addressPrefixes": ["10.0.0.0/8", "fd00::/32"]},
                "subnets": [{"resourceId": one, "properties": properties} for one, properties in subnets.items()],
            }
            self.world.put(f"/virtualNetworks/{name}", body)

    def run(self, command: Command) -> None:
        before = copy.deepcopy(self.state)
        try:
            decision = decide(self.state, command, self.world.now, self.world.new_id)
        except Refusal:
            assert self.state == before
            return
        assert self.state == before
        self._apply_twice(before, decision)
        self._keep_book(decision)

    def _apply_twice(self, before: State, decision: Decision) -> None:
        for change in decision.changes:
            self.state.apply(change)
        after = copy.deepcopy(self.state)
        for change in reversed(decision.changes):
            self.state.revert(change)
        assert self.state == before
        for change in decision.changes:
            self.state.apply(change)
        assert self.state == after
        self.state.revision += 1

    def _keep_book(self, decision: Decision) -> None:
        for change in decision.changes:
            if not isinstance(change, LeaseChange):
                continue
            key = (change.scope, change.address)
            rest = self.resting.get(key)
            seen = change.reason.startswith("its adapter has it")
            brought = change.event == "learnt" and rest is not None and rest.reason.startswith("learnt")
            takes = change.after is not None and change.after.state == "assigned"
            if rest is not None and change.after is not None and takes and not (seen or brought):
                last = {holder.ref.lower() for holder in rest.holders}
                assert {holder.ref.lower() for holder in change.after.holders} <= last, "granted while it cools"
                assert change.event != "granted"
            if rest is not None and change.after is None:
                assert rest.until <= self.world.now.ledger, "freed before its cool-down ended"
            self.resting.pop(key, None)
            if change.after is not None and change.after.state == "cooling":
                self.resting[key] = change.after

    @rule(command=put_interfaces())
    def write_interface(self, command: Command) -> None:
        self.run(command)

    @rule(command=WRITES)
    def write(self, command: Command) -> None:
        self.run(command)

    @rule(commands=st.lists(WRITES, min_size=2, max_size=4))
    def batch(self, commands: list[Command]) -> None:
        self.run(Batch(tuple(commands)))

    @rule(command=st.one_of(reserves(), sightings()))
    def reserve_or_see(self, command: Command) -> None:
        self.run(command)

    @precondition(lambda self: any(self.state.all("networkInterfaces")))
    @rule(data=st.data())
    def write_machine(self, data: st.DataObject) -> None:
        self.run(data.draw(put_machines(self._ids("networkInterfaces"))))

    @precondition(lambda self: any(self.state.all("virtualMachines")))
    @rule(data=st.data())
    def note(self, data: st.DataObject) -> None:
        instances = [one.instance_id for one in self.state.all("networkInterfaces")]
        self.run(data.draw(notes(self._ids("virtualMachines"), instances)))

    @rule(name=NETWORKS, enabled=st.sampled_from([True, True, False]))
    def let_guests_bring(self, name: str, enabled: bool) -> None:
        """In all subnets of a network, or in none."""
        found = self.state.get("virtualNetworks", name)
        if found is not None:
            own = GuestSpecifiedAddresses(enabled=enabled, maximum_per_interface=2)
            subnets = tuple(
                structs.replace(one, properties=structs.replace(one.properties, guest_specified_addresses=own))
                for one in found.properties.subnets
            )
            properties = structs.replace(found.properties, subnets=subnets)
            self.run(Put(Path("virtualNetworks", name), structs.replace(found, properties=properties)))

    @precondition(lambda self: any(self._placed()))
    @rule(data=st.data())
    def bring(self, data: st.DataObject) -> None:
        for command in data.draw(st.lists(claims(self._placed()), min_size=1, max_size=5)):
            self.run(command)

    def _placed(self) -> list[str]:
        """instanceIds of interfaces that are in a subnet."""
        return [one.instance_id for one in self.state.all("networkInterfaces") if one.properties.ip_configurations]

    @precondition(lambda self: any(self.state.all("virtualMachines")))
    @rule(data=st.data(), power=st.sampled_from(["Running", "Running", "Off", "Saved"]))
    def power(self, data: st.DataObject, power: str) -> None:
        self.run(SetPower(data.draw(self._ids("virtualMachines")), power))

    @precondition(lambda self: any(self.state.all("virtualMachines")))
    @rule(data=st.data(), server=SERVERS)
    def move(self, data: st.DataObject, server: str) -> None:
        self.run(BeginMove(data.draw(self._ids("virtualMachines")), server))

    @precondition(lambda self: any(self._moving()))
    @rule(data=st.data(), phase=st.sampled_from(["switching", "withdrawing", "switched", "done", "failed"]))
    def advance(self, data: st.DataObject, phase: str) -> None:
        machine = data.draw(st.sampled_from(self._moving()))
        self.run(AdvanceMove(machine.resource_id, phase, machine.properties.move.generation))

    def _ids(self, kind: str) -> st.SearchStrategy[str]:
        return st.sampled_from([one.resource_id for one in self.state.all(kind)])

    def _moving(self) -> list[Any]:
        return [one for one in self.state.all("virtualMachines") if one.properties.move is not None]

    @rule(seconds=st.sampled_from([1, 9, 25, 4000]))
    def wait(self, seconds: int) -> None:
        self.world.now = Now(self.world.now.ledger + seconds, self.world.now.wall + seconds)
        self.run(EndCoolDowns())
        self.run(EndReservations())

    @invariant()
    def counts_add_up(self) -> None:
        for key, pool in self.state.addresses.pools.items():
            leases = [
                lease
                for address, lease in self.state.leases(pool.spec.scope).items()
                if pool.spec.first <= address <= pool.spec.last
            ]
            used = {name: pool.used(name) for name in ("assigned", "retained", "cooling", "reserved", "foreign")}
            for name in ("assigned", "retained", "cooling", "foreign"):
                assert used[name] == sum(lease.state == name for lease in leases), key
            alone = sum(last - first + 1 for first, last, _ in pool.spec.excluded)
            alone -= sum(bool(pool.why_excluded(lease.address)) for lease in leases)
            alone += sum(lease.state == "reserved" for lease in leases)
            assert used["reserved"] == alone, key
            assert sum(used.values()) == pool.taken.used <= pool.capacity

    @invariant()
    def every_address_has_the_holders_that_say_so(self) -> None:
        held: dict[tuple[str, int], set[str]] = {}
        for interface in self.state.all("networkInterfaces"):
            if interface.properties.private_mac_address is None:
                assert interface.properties.strategy == "hostRange"
                continue
            ref = f"/networkInterfaces/{interface.resource_id}"
            held.setdefault((MAC_SCOPE, int(interface.properties.private_mac_address, 16)), set()).add(ref)
        for scope in self.state.addresses.leases:
            for address, lease in self.state.leases(scope).items():
                if lease.state != "assigned":
                    continue
                users = [one for one in lease.holders if one.kind not in ("port", "reservation", "checkpoint")]
                refs = {holder.ref for holder in users}
                assert len(refs) == len(users) > 0
                if scope == MAC_SCOPE:
                    assert held.pop((scope, address)) == refs
                elif scope.startswith("ip"):
                    assert len(refs) == 1
                for ref in refs:
                    assert self.state.find_ref(ref) is not None
        assert not held

    @invariant()
    def what_guests_brought_is_theirs_alone(self) -> None:
        learnt: dict[tuple[str, int], str] = {}
        for interface in self.state.all("networkInterfaces"):
            for place, one in learnt_places(self.state, interface):
                assert place not in learnt
                learnt[place] = f"/networkInterfaces/{interface.resource_id}"
                subnet = self.state.find_ref(one.subnet.resource_ref)
                assert subnet.properties.guest_specified_addresses.enabled
            refs = [one.subnet.resource_ref for one in interface.properties.learned_ip_addresses]
            assert all(refs.count(ref) <= 2 for ref in refs)
        for scope in self.state.addresses.leases:
            for address, lease in self.state.leases(scope).items():
                if lease.state == "assigned" and lease.reason == "learnt":
                    assert [learnt.pop((scope, address))] == [one.ref for one in lease.holders]
        assert not learnt

    @invariant()
    def no_two_that_can_meet_share_a_mac(self) -> None:
        for lease in self.state.leases(MAC_SCOPE).values():
            users = [one for one in lease.holders if one.kind == "networkInterface"]
            if lease.state == "assigned" and len(users) > 1:
                domains = [holder.domain for holder in users]
                assert len(set(domains)) == len(domains) and "" not in domains
                assert not any(holder.granted for holder in users)

    @invariant()
    def a_reservation_holds_what_it_says_until_it_ends(self) -> None:
        held = {
            (holder.ref, address_text(lease.scope, lease.address))
            for scope in self.state.addresses.leases
            for lease in self.state.leases(scope).values()
            for holder in lease.holders
            if holder.kind == "reservation" and lease.state != "cooling"
        }
        named = {
            (f"/weft/reservations/{one.resource_id}", text)
            for one in self.state.all("reservations")
            for text in one.properties.addresses
        }
        assert held == named
        ends = [one.properties.expires for one in self.state.all("reservations") if one.properties.expires]
        assert self.state.reservations_end() == min(ends, default=None)

    @invariant()
    def ranges_of_hosts_are_disjoint_and_in_their_plan(self) -> None:
        specs = [pool.spec for pool in self.state.addresses.pools.values() if pool.spec.scope == MAC_SCOPE]
        specs.sort(key=lambda spec: spec.first)
        assert all(one.last < other.first for one, other in zip(specs, specs[1:], strict=False))
        granted = {one.resource_id for one in self.state.all("servers") if one.properties.mac_range is not None}
        assert granted == {spec.ref.split("/")[2] for spec in specs if spec.host_range}

    @invariant()
    def every_conflict_is_one_of_a_lease_with_two_users_or_of_two_ranges(self) -> None:
        every = conflicts(self.state)
        of_machines = [one for machine in self.state.all("virtualMachines") for one in self._conflicts_of(machine)]
        assert all(one in every for one in of_machines)
        for one in every:
            assert one.kind in ("activeTwin", "foreign", "rangeOverlap", "drift")
            assert len(set(one.holders)) == len(one.holders) == 2
            assert one.kind != "activeTwin", "no command but adoption makes one here"
            if one.kind == "foreign":
                lease = self.state.lease(MAC_SCOPE, parse_mac(one.address))
                assert lease is not None and {holder.ref for holder in lease.holders} >= set(one.holders)

    def _conflicts_of(self, machine: Any) -> list[Any]:
        return conflicts_of(self.state, machine.resource_id)

    @invariant()
    def our_book_of_what_cools_is_theirs(self) -> None:
        cooling = {
            (scope, address): lease
            for scope in self.state.addresses.leases
            for address, lease in self.state.leases(scope).items()
            if lease.state == "cooling"
        }
        assert cooling == self.resting
        ends = min((lease.until for lease in cooling.values()), default=None)
        assert self.state.cooling_ends() == ends
        assert self.state.addresses.cooling == len(cooling)

    @invariant()
    def a_state_loaded_from_the_same_rows_is_equal(self) -> None:
        state = self.state
        stored = SimpleNamespace(
            generation="test",
            revision=state.revision,
            resources={kind.name: list(state.all(kind.name)) for kind in reversed(KINDS)},
            leases=[lease for scope in state.addresses.leases for lease in state.leases(scope).values()],
            cursors=dict(state.cursors),
        )
        assert State.load(stored) == state


TestLedger = Ledger.TestCase
TestLedger.settings = settings(
    max_examples=examples(40, soak=1000), stateful_step_count=80 if PROFILE == "soak" else 40
)
