"""The rules of the life machines: all that machines, addresses, hosts and clocks go through.

Who runs them says how a command is carried out: on a state alone (test_life.py), or by a controller on its store that
is restarted and dies (test_life_stored.py). After each command the book is written and compared, see book.py.
"""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.property.life import asks
from tests.property.life.book import Book, Domains, addresses_of, captured, clash, meet, reserved_keys, running
from tests.unit.core.world import World
from weft.core.commands import (
    AdvanceMove,
    Batch,
    BeginMove,
    Command,
    Decision,
    Delete,
    EndCoolDowns,
    EndReservations,
    Failover,
    MarkMachine,
    NoteSeen,
    Put,
    ReleaseAddress,
    ReleaseInactive,
    RemoveServer,
    RenewMac,
    Reserve,
    SetPower,
)
from weft.core.copy_commands import Clone, ExportMachine, Restore, TakeCheckpoint
from weft.core.state import State
from weft.model.errors import Refusal
from weft.model.leases import COOLING, MAC_SCOPE
from weft.model.values import Now

MEMBERS = st.sampled_from(asks.INTERFACES)
POWERS = st.sampled_from(["Running", "Running", "Running", "Off", "Saved"])
HOW = st.sampled_from(["new", "keep"])
Outcome = Decision | Refusal


def has(kind: str) -> Any:
    """Only while there is something of a kind."""
    return precondition(lambda self: any(True for _ in self.state.all(kind)))


class Life(RuleBasedStateMachine):
    """One installation and its book."""

    def __init__(self) -> None:
        super().__init__()
        self.book = Book()

    # -- what each kind of machine says

    @property
    def state(self) -> State:
        raise NotImplementedError

    @property
    def now(self) -> Now:
        raise NotImplementedError

    def carry_out(self, command: Command) -> Outcome:
        """Let it happen, or hear why not."""
        raise NotImplementedError

    def pass_time(self, ledger: float, wall: float) -> None:
        raise NotImplementedError

    # -- one step

    def run(self, command: Command) -> Outcome:
        macs = self._macs()
        outcome = self.carry_out(command)
        if isinstance(outcome, Refusal):
            assert outcome.message
            assert self._macs() == macs, "a refused command changed something"
            return outcome
        self._written(command)
        self._check_macs(macs, command)
        return outcome

    def _written(self, command: Command) -> None:
        """What has been carried out goes into the book, and the book must be right."""
        self.book.follow(self.state, command, self.now.ledger)
        self.book.compare(self.state)
        users = running(self.state)
        for at, one in enumerate(users):
            for other in users[:at]:
                assert not clash(one, other), f"{one} and {other} run with one address"

    def _macs(self) -> dict[str, str | None]:
        return {
            one.resource_id.lower(): one.properties.private_mac_address for one in self.state.all("networkInterfaces")
        }

    def _check_macs(self, before: dict[str, str | None], command: Command) -> None:
        """A MAC address changes by being renewed or restored, or while no machine has the interface; else never."""
        parts = command.commands if isinstance(command, Batch) else (command,)
        if any(isinstance(part, Restore) for part in parts):
            return
        renewed = {part.interface.lower() for part in parts if isinstance(part, RenewMac)}
        written = {part.path.id.lower() for part in parts if isinstance(part, Put | Delete)}
        for name, mac in self._macs().items():
            free = name in written and (self.state.machine_of(name) is None or len(parts) > 1)
            assert name not in before or before[name] == mac or name in renewed or free, f"{name} changed its MAC"

    def pick(self, data: st.DataObject, kind: str) -> Any:
        return data.draw(st.sampled_from(sorted(self.state.all(kind), key=lambda one: one.resource_id.lower())))

    # -- rules

    @initialize(settled=st.booleans())
    def begin(self, settled: bool) -> None:
        """Half of all lives begin with a machine that runs and has a checkpoint: rollbacks come early then."""
        for command in asks.installation():
            outcome = self.carry_out(command)
            assert not isinstance(outcome, Refusal), outcome
            self.book.follow(self.state, command, self.now.ledger)
        self.book.compare(self.state)
        if settled:
            for command in asks.settled():
                outcome = self.run(command)
                assert not isinstance(outcome, Refusal), outcome

    @rule(data=st.data())
    def write_interface(self, data: st.DataObject) -> None:
        reservations = tuple(sorted(one.resource_id for one in self.state.all("reservations")))
        command = data.draw(asks.interfaces(reservations=reservations))
        pools = [pool for pool in self.book.pools if pool.scope == MAC_SCOPE and not pool.drain]
        free = [one for pool in pools for one in self.book.free_in(pool)]
        known = self.state.find(command.path) is not None
        outcome = self.run(command)
        if isinstance(outcome, Refusal) and outcome.code == "MacPoolIsFull":
            body = command.document.properties
            assert not free or known or body.reservation is not None, f"refused, but {free} are free"

    @has("networkInterfaces")
    @rule(data=st.data(), name=st.sampled_from(asks.MACHINES), server=st.sampled_from([*asks.SERVERS, None]))
    def write_machine(self, data: st.DataObject, name: str, server: str | None) -> None:
        known = [one.resource_id for one in self.state.all("networkInterfaces")]
        chosen = data.draw(st.lists(st.sampled_from(sorted(known)), max_size=2, unique=True))
        self.run(asks.machine(name, chosen, server, data.draw(st.sampled_from(["Off", "Off", "Running"]))))

    @rule(command=asks.templates())
    def write_template(self, command: Command) -> None:
        self.run(command)

    @rule(name=st.sampled_from(sorted(asks.POOLS)), data=st.data())
    def write_pool(self, name: str, data: st.DataObject) -> None:
        drain, excluded = data.draw(st.sampled_from([(False, False), (False, True), (True, False)]))
        self.run(asks.put_pool(name, excluded, drain, data.draw(st.sampled_from([0, asks.COOL_DOWN_S, 60]))))

    @rule(data=st.data(), kind=st.sampled_from(["networkInterfaces", "virtualMachines", "reservations", "servers"]))
    def delete(self, data: st.DataObject, kind: str) -> None:
        found = sorted(one.resource_id for one in self.state.all(kind))
        if found:
            prefix = "/weft" if kind in ("virtualMachines", "reservations") else ""
            self.run(World.delete_command(f"{prefix}/{kind}/{data.draw(st.sampled_from(found))}"))

    @precondition(lambda self: any(self.state.all("checkpoints")) or any(self.state.all("exports")))
    @rule(data=st.data(), kind=st.sampled_from(["checkpoints", "exports"]))
    def delete_capture(self, data: st.DataObject, kind: str) -> None:
        found = sorted(one.resource_id for one in self.state.all(kind))
        if found:
            owner, _, name = data.draw(st.sampled_from(found)).rpartition("~")
            self.run(World.delete_command(f"/weft/virtualMachines/{owner}/{kind}/{name}"))

    @has("virtualMachines")
    @rule(data=st.data(), power=POWERS)
    def power(self, data: st.DataObject, power: str) -> None:
        machine = self.pick(data, "virtualMachines")
        name = machine.resource_id.lower()
        twins = self._twins(name) if power == "Running" else set()
        outcome = self.run(SetPower(machine.resource_id, power))
        if power != "Running":
            return
        if isinstance(outcome, Refusal):
            assert outcome.code != "ActiveTwin" or twins, f"refused, but nobody runs with an address of {name}"
        elif machine.properties.power_state != "Running":
            assert not twins, f"{name} started beside {twins}"

    def _twins(self, name: str) -> set[str]:
        """Who runs with an address of a machine that is about to start, strangers on ports included."""
        users = running(self.state, name)
        found = {two.machine for one in users for two in users if one.machine == name and clash(one, two)}
        domains = Domains(self.state)
        for server, ports in self.book.ports.items():
            for port, seen in ports.items():
                where = domains.of_port(server, seen)
                mine = (one for one in users if one.machine == name and meet(one.domains, where))
                if any((MAC_SCOPE, seen.mac) in one.addresses for one in mine):
                    found.add(f"{server}/{port}")
        return found

    @has("virtualMachines")
    @rule(data=st.data(), server=st.sampled_from(asks.SERVERS))
    def move(self, data: st.DataObject, server: str) -> None:
        self.run(BeginMove(self.pick(data, "virtualMachines").resource_id, server))

    @precondition(lambda self: any(one.properties.move for one in self.state.all("virtualMachines")))
    @rule(data=st.data(), phase=st.sampled_from(["switching", "withdrawing", "switched", "done", "failed"]))
    def advance(self, data: st.DataObject, phase: str) -> None:
        moving = [one for one in self.state.all("virtualMachines") if one.properties.move]
        machine = data.draw(st.sampled_from(sorted(moving, key=lambda one: one.resource_id)))
        self.run(AdvanceMove(machine.resource_id, phase, machine.properties.move.generation))

    @has("virtualMachines")
    @rule(
        data=st.data(), name=st.sampled_from(asks.COPIES), how=st.sampled_from(["new", "keep"]), template=st.booleans()
    )
    def clone(self, data: st.DataObject, name: str, how: str, template: bool) -> None:
        source = self.pick(data, "virtualMachines")
        held = set(self.book.holders) | set(self.book.cooling)
        before = {ref: self._addresses(ref) for ref in self._interfaces(source.resource_id)}
        outcome = self.run(Clone(source.resource_id, name, how, is_template=template and how == "new"))
        if isinstance(outcome, Refusal):
            return
        made = self.state.get("virtualMachines", name)
        assert made.properties.power_state == "Off"
        if made.properties.is_template:
            assert not made.properties.network_interfaces
            return
        copies = [self._addresses(ref) for ref in self._interfaces(name)]
        if how == "keep":
            assert copies == list(before.values())
        else:
            assert not any(keys & held for keys in copies), "a clone was given what another has"

    def _interfaces(self, machine: str) -> list[str]:
        refs = self.state.get("virtualMachines", machine).properties.network_interfaces
        return [ref.resource_ref.lower() for ref in refs]

    def _addresses(self, ref: str) -> set[Any]:
        found = self.state.find_ref(ref)
        return addresses_of(found) if found is not None else set()

    @has("virtualMachines")
    @rule(data=st.data(), name=st.sampled_from(asks.NAMES))
    def checkpoint(self, data: st.DataObject, name: str) -> None:
        self._capture(data, "checkpoints", TakeCheckpoint(self.pick(data, "virtualMachines").resource_id, name))

    @has("virtualMachines")
    @rule(data=st.data(), name=st.sampled_from(asks.NAMES))
    def export(self, data: st.DataObject, name: str) -> None:
        self._capture(data, "exports", ExportMachine(self.pick(data, "virtualMachines").resource_id, name))

    def _capture(self, data: st.DataObject, kind: str, command: Any) -> None:
        if not isinstance(self.run(command), Refusal):
            made = self.state.get(kind, f"{command.machine}~{command.name}")
            has_now = {ref: self._addresses(ref) for ref in self._interfaces(command.machine)}
            assert captured(made) == has_now, "it captured something else"

    @has("checkpoints")
    @rule(data=st.data(), addresses=st.sampled_from(["captured", "captured", "keep"]), taken=st.booleans())
    def restore(self, data: st.DataObject, addresses: str, taken: bool) -> None:
        checkpoint = self.pick(data, "checkpoints")
        owner, _, name = checkpoint.resource_id.rpartition("~")
        if self.state.get("virtualMachines", owner) is None:
            return
        before = {ref: self._addresses(ref) for ref in self._interfaces(owner)}
        command = Restore(owner, name, addresses, "remap" if taken else "refuse")
        outcome = self.run(command)
        if not isinstance(outcome, Refusal):
            self._check_restored(command, outcome, captured(checkpoint), before)

    def _check_restored(self, command: Restore, outcome: Decision, wanted: Any, before: Any) -> None:
        after = {ref: self._addresses(ref) for ref in self._interfaces(command.machine)}
        if command.addresses == "keep":
            assert after == before, "it was to keep what it has"
            return
        parts = [one for one in outcome.report if one.outcome != "detached"]
        assert [one.network_interface.lower() for one in parts] == list(after), "it says something else than it has"
        for part, keys, got in zip(parts, wanted.values(), after.values(), strict=True):
            if part.outcome == "remapped":
                assert command.if_taken == "remap"
            else:
                assert got == keys, f"{part} was to get {keys} back"
        users = running(self.state)
        mine = [one for one in running(self.state, command.machine.lower()) if one.machine == command.machine.lower()]
        yielded = [(one, two) for one in mine for two in users if clash(one, two)]
        assert not yielded, f"a rollback yielded what another machine runs with: {yielded}"

    @rule(data=st.data())
    def import_machine(self, data: st.DataObject) -> None:
        macs = tuple(sorted({mac for mac in self._macs().values() if mac}))
        self.run(data.draw(asks.imports(macs)))

    @has("virtualMachines")
    @rule(data=st.data(), asked=st.sampled_from(["", *asks.STATIC_MACS]), force=st.booleans())
    def renew(self, data: st.DataObject, asked: str, force: bool) -> None:
        machine = self.pick(data, "virtualMachines")
        interfaces = self._interfaces(machine.resource_id)
        if not interfaces:
            return
        interface = data.draw(st.sampled_from(interfaces)).rpartition("/")[2]
        old = self._macs()[interface]
        outcome = self.run(RenewMac(machine.resource_id, interface, asked, force))
        if not isinstance(outcome, Refusal):
            new = self._macs()[interface]
            assert new == asked if asked else new != old
        elif machine.properties.power_state == "Running" and not force:
            assert outcome.code in ("MachineIsRunning", "AnotherOperationInProgress")

    @has("virtualMachines")
    @rule(data=st.data(), server=st.sampled_from(asks.SERVERS))
    def fail_over(self, data: st.DataObject, server: str) -> None:
        machine = self.pick(data, "virtualMachines")
        power = machine.properties.power_state
        if not isinstance(self.run(Failover(machine.resource_id, server)), Refusal):
            after = self.state.get("virtualMachines", machine.resource_id).properties
            assert (after.power_state, after.move) == (power, None)
            assert after.server.resource_ref.lower() == f"/servers/{server}"

    @precondition(lambda self: len(list(self.state.all("servers"))) > 1)
    @rule(server=st.sampled_from(asks.SERVERS))
    def lose_server(self, server: str) -> None:
        if not isinstance(self.run(RemoveServer(server, "burnt")), Refusal):
            assert not list(self.state.machines_on(server))

    @precondition(lambda self: len(list(self.state.all("servers"))) < 2)
    @rule()
    def add_servers(self) -> None:
        for command in asks.installation():
            if command.path.kind == "servers":
                self.run(command)

    @has("virtualMachines")
    @rule(data=st.data(), reason=st.sampled_from(["deleted outside", ""]))
    def mark(self, data: st.DataObject, reason: str) -> None:
        self.run(MarkMachine(self.pick(data, "virtualMachines").resource_id, reason))

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        macs = self.state.leases(MAC_SCOPE)
        open_to_it = sorted(
            a for a, one in macs.items() if one.state == COOLING or any(h.inactive for h in one.holders)
        )
        if open_to_it:
            self.run(ReleaseAddress(MAC_SCOPE, data.draw(st.sampled_from(open_to_it)), "an operator said so"))

    @rule(pool=st.sampled_from([*sorted(asks.POOLS), "web"]), count=st.integers(1, 3), together=st.booleans())
    def reserve(self, pool: str, count: int, together: bool) -> None:
        ref = f"/macPools/{pool}" if pool in asks.POOLS else "/virtualNetworks/blue/subnets/web"
        until = self.now.wall + 40 if count == 2 else None
        command = Reserve(ref, count, together, "a roll-out", until, f"job-{pool}-{count}")
        known = self.state.get("reservations", command.request_id)
        outcome = self.run(command)
        if isinstance(outcome, Refusal):
            return
        made = self.state.get("reservations", outcome.resource.resource_id)
        assert known is None or made.properties.addresses == known.properties.addresses, "one request id, two answers"
        numbers = sorted(address for _, address in reserved_keys(made))
        if together and numbers and known is None:
            assert numbers[-1] - numbers[0] == count - 1

    @has("servers")
    @rule(data=st.data())
    def see(self, data: st.DataObject) -> None:
        macs = tuple(sorted({mac for mac in self._macs().values() if mac}))
        self.run(NoteSeen(self.pick(data, "servers").resource_id, data.draw(asks.sightings(macs))))

    @rule(seconds=st.sampled_from([1, 6, 11, 25, 70]), jump=st.sampled_from([0, 0, -7200, 7200]))
    def wait(self, seconds: int, jump: int) -> None:
        """Ledger time passes; the wall clock may have been set forwards or backwards meanwhile."""
        self.pass_time(seconds, seconds + jump)
        lasting = {one.resource_id: one.properties.expires for one in self.state.all("reservations")}
        for command in (EndCoolDowns(), EndReservations(), ReleaseInactive()):
            self.run(command)
        for name, expires in lasting.items():
            over = 0 < expires <= self.now.ledger
            assert (self.state.get("reservations", name) is None) == over, f"{name} ends at {expires}"
        due = [key for key, rest in self.book.cooling.items() if rest.until <= self.now.ledger]
        assert not due, f"{due} should have been freed"

    @rule(data=st.data())
    def batch(self, data: st.DataObject) -> None:
        """Several as one: all or none, interfaces and their machine, checkpoints and rollbacks of several machines."""
        found = sorted(self.state.all("checkpoints"), key=lambda one: one.resource_id)
        names = data.draw(st.lists(MEMBERS, max_size=2, unique=True))
        parts: list[Command] = [data.draw(asks.interfaces(name)) for name in names]
        for checkpoint in data.draw(st.lists(st.sampled_from(found), max_size=2, unique_by=id)) if found else []:
            owner, _, name = checkpoint.resource_id.rpartition("~")
            parts.append(Restore(owner, name, "captured", "remap"))
        if names:
            new = [part.path.id for part in parts if hasattr(part, "path")]
            power = data.draw(st.sampled_from(["Running", "Off"]))
            parts.append(asks.machine(data.draw(st.sampled_from(asks.MACHINES)), new, "h1", power))
        if parts:
            self.run(Batch(tuple(parts)))
