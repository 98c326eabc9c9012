"""Who runs beside a lawful user of an address: whether another hand may start a machine, and what a server's policy has
its agent isolate.

`Twins.refusal` answers an agent that is asked by libvirt's hook; `newcomers` is called by weft.control.behind for each
host that it takes in. The newcomer is who is no lawful holder, or of two strangers who was seen later.
"""

from collections.abc import Iterable

from weft.control.findings import ELSEWHERE, OURS, Told, conflicts_of
from weft.control.publisher import Publisher
from weft.control.writer import Writer
from weft.core.conflicts import ACTIVE_TWIN
from weft.core.decide.machines import Machine
from weft.core.findings import port_ref, users_of
from weft.core.host_facts import NoteMachine
from weft.core.kin import kin_of
from weft.core.notable import present
from weft.core.policy_places import server_of
from weft.core.state import State
from weft.core.strangers import RECONNECT, REPORT, twin_policy_of
from weft.model.errors import Conflict, Refusal
from weft.model.hypervisor import MachineState
from weft.model.kinds import VIRTUAL_MACHINES
from weft.model.leases import MAC_SCOPE, Holder
from weft.model.values import mac_dashes
from weft.wire.messages import Isolate, MayRun


class Twins:
    """One per controller."""

    def __init__(self, writer: Writer, publisher: Publisher) -> None:
        self._writer = writer
        self._state = writer.state
        self._publisher = publisher

    def refusal(self, server: str, asked: MayRun) -> str:
        """Why a machine that another hand starts on this server may not run; empty if it may."""
        told = MachineState(asked.machine, "Off", id=asked.id, name=asked.name)
        machine = kin_of(self._state, server, told)
        own: frozenset[str] = frozenset()
        if machine is not None and not machine.properties.is_template:
            why = self._ours(server, machine, asked)
            if why:
                return why
            refs = (ref.resource_ref for ref in machine.properties.network_interfaces)
            own = frozenset(ref.lower() for ref in refs)
        for mac in asked.macs:
            why = self._beside(server, mac, asked, own)
            if why:
                return why
        return ""

    def _ours(self, server: str, machine: Machine, asked: MayRun) -> str:
        there = server_of(machine)
        p = machine.properties
        if there and there != server and p.power_state == "Running" and p.move is None and not asked.comes:
            session = self._publisher.session(there)
            if session is not None:
                return f"{machine.resource_id} runs on {self._publisher.spelled(there)}"
        if p.move is not None or (there == server and p.power_state == "Running"):
            return ""
        try:
            self._writer.dry_run(NoteMachine(machine.resource_id, server, "Running"))
        except Conflict as twin:
            return twin.message
        except Refusal:
            # no address is left for it: that is found when it runs
            return ""
        return ""

    def _beside(self, server: str, mac: int, asked: MayRun, own: frozenset[str]) -> str:
        for holder, words in users_of(self._state, mac, "", server, own):
            # what comes from another host is seen there until it is here
            if not (asked.comes and holder.kind == "port"):
                return f"{mac_dashes(mac)} is in use by {words}"
        session = self._publisher.session(server)
        facts = session.facts.hypervisor if session is not None else None
        for one in facts.machines if facts is not None else ():
            if one.power == "Running" and one.id.lower() != asked.id.lower():
                if any(adapter.mac == mac and adapter.switch for adapter in one.adapters):
                    return f"{mac_dashes(mac)} is in use by {one.name or one.id} on this host"
        return ""


def newcomers(state: State, publisher: Publisher, server: str, told: Iterable[Told]) -> Isolate:
    """What the agent of a server is to isolate, by its policy, and what to let back."""
    policy = twin_policy_of(state, server)
    orders = ((one.machine.id, _order(state, publisher, policy, one)) for one in told)
    return Isolate(tuple(sorted((own, order) for own, order in orders if order)))


def _order(state: State, publisher: Publisher, policy: str, told: Told) -> str:
    """What the agent is to do about a machine; empty for nothing. One that it took off the network before, and that is
    no newcomer beside anybody now, comes back to it."""
    running = told.machine.power == "Running"
    if policy != REPORT and running and _is_newcomer(state, publisher, told):
        return policy
    return RECONNECT if told.machine.isolated else ""


def _is_newcomer(state: State, publisher: Publisher, told: Told) -> bool:
    if told.role == OURS:
        return any(one.kind == ACTIVE_TWIN for one in conflicts_of(state, told))
    if told.role == ELSEWHERE:
        return _runs_there(state, publisher, told)
    return any(
        _precedes(state, told, at, holder)
        for at, adapter in enumerate(told.machine.adapters)
        if adapter.mac and (adapter.switch or told.machine.isolated)
        for holder, _ in users_of(state, adapter.mac, "", told.server)
    )


def _runs_there(state: State, publisher: Publisher, told: Told) -> bool:
    """Does the host that its record names say that it runs there too?"""
    machine = state.get(VIRTUAL_MACHINES.name, told.machine.machine)
    session = publisher.session(server_of(machine)) if machine is not None else None
    there = session.tables.states.get(told.machine.id.lower()) if session is not None else None
    return there is not None and there.power == "Running"


def _precedes(state: State, told: Told, at: int, holder: Holder) -> bool:
    """Whether a holder has the address by right, or was seen with it before a stranger was."""
    if holder.kind != "port":
        return True
    refs = [one.ref.lower() for one in present(state.lease(MAC_SCOPE, told.machine.adapters[at].mac))]
    own = [ref for ref in refs if ref.startswith(f"/servers/{told.server}/ports/".lower())]
    mine = port_ref(told.server, told.machine, at).lower()
    first = mine if mine in refs else next(iter(own), "")
    return bool(first) and refs.index(holder.ref.lower()) < refs.index(first)
