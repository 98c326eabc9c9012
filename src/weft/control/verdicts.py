"""What a host's acks and facts say about an intent: settled, failed, or still to come. Reads sessions, changes nothing.

Called by weft.control.machines and moves whenever something was heard of a host. Order on the host: it applies the
records and acks, carries out the verb, reports facts. Facts from before the ack may speak of the time before, and those
told while its hypervisor does not answer do: nothing is concluded from them.
"""

import asyncio

import msgspec

from weft.control.drivers import defines, differs
from weft.control.publisher import Publisher
from weft.core.policy_places import VirtualMachine
from weft.model.hypervisor import MachineState
from weft.wire.messages import SERVER_WARNING, MachineFact

LATE_FACTS_S = 2.0
"""A failure reported just before the ack counts once this long has passed without better news."""


class Verdict(msgspec.Struct, frozen=True):
    """`failure` says why it will not come about; `waiting_for` what is still missing."""

    settled: bool
    failure: str = ""
    waiting_for: str = ""


DONE = Verdict(True)


def trouble_of(publisher: Publisher, server: str) -> str:
    """What keeps a host from its policy, in brackets, as it says itself; empty if it says nothing."""
    session = publisher.session(server)
    problems = session.facts.problems if session is not None else ()
    found = (one for one in problems if one.code != SERVER_WARNING and not one.instance_id)
    return next((f" ({one.message})" for one in found), "")


class Expectation:
    """That one managed server carries out what was committed at a revision."""

    def __init__(self, publisher: Publisher, server: str, revision: int) -> None:
        self.server = server
        self._publisher = publisher
        self._revision = revision
        self._acked_at: float | None = None

    def power(self, machine: VirtualMachine, wanted: str) -> Verdict:
        """Has the machine this power here, its ports bound if it runs?"""
        ahead = self._ahead()
        if ahead is not None:
            return ahead
        fact = self._fact(machine)
        # a hypervisor that does not know a machine has it off
        power = "Off" if fact is None else fact.power
        if power == wanted:
            return self.ports(machine) if wanted == "Running" else DONE
        if fact is not None and fact.failure and self._is_news():
            return Verdict(False, fact.failure)
        return Verdict(False, "", f"{machine.resource_id} to be {wanted} on {self.server} (it is {power})")

    def started(self, machine: VirtualMachine) -> Verdict:
        """As power() has it of one that shall run, and that the host had: what another hand deleted will not come."""
        verdict = self.power(machine, "Running")
        return verdict if verdict.settled or verdict.failure else self._gone(machine) or verdict

    def _gone(self, machine: VirtualMachine) -> Verdict | None:
        fact = self._fact(machine)
        if fact is None or fact.presence != "gone" or self._ahead() is not None or not self._is_news():
            return None
        return Verdict(False, f"another hand deleted it on {self.server}")

    def ports(self, machine: VirtualMachine) -> Verdict:
        """Are the ports of the machine's interfaces bound here?"""
        ahead = self._ahead()
        if ahead is not None:
            return ahead
        session = self._publisher.session(self.server)
        bound = session.tables.ports if session is not None else {}
        for instance_id in self._publisher.port_ids(machine, self.server):
            fact = bound.get(instance_id)
            if fact is None or fact.state != "bound":
                why = fact.reason or fact.state if fact is not None else "absent"
                return Verdict(False, "", f"port {instance_id} on {self.server} (it is {why})")
        return DONE

    def defined(self, machine: VirtualMachine) -> Verdict:
        """Does the hypervisor have the machine, Off, with the adapters that the ledger says? A driver that makes a
        machine when it starts has nothing to show before."""
        ahead = self._ahead()
        if ahead is not None:
            return ahead
        if not defines(self._publisher.managed.get(self.server)):
            return DONE
        fact, state = self._fact(machine), self.state_of(machine)
        copied = machine.properties.errand
        is_over = copied is None or (fact is not None and fact.errand == copied.number)
        if copied is not None and fact is not None and is_over and fact.errand_failure:
            return Verdict(False, fact.errand_failure)
        if fact is not None and fact.failure and self._is_news():
            return Verdict(False, fact.failure)
        name = machine.resource_id
        if fact is not None and fact.busy:
            # it may be on the list before its disks are whole
            return Verdict(False, "", f"{self.server} to be done with making {name}")
        if state is None and (gone := self._gone(machine)) is not None:
            return gone
        if state is None or state.awaited or not is_over:
            return Verdict(False, "", f"{name} to be {'defined' if copied is None else 'copied'} on {self.server}")
        if state.unfinished:
            return Verdict(False, "", f"{self.server} to make the disks of {name}")
        why = differs(state, self._publisher.adapters(machine))
        return Verdict(False, "", f"{name} on {self.server} to be as it should: {why}") if why else DONE

    def absent(self, machine: VirtualMachine) -> Verdict:
        """Does the hypervisor have nothing of the machine any more, and is nothing under way that could make it?"""
        ahead = self._ahead()
        if ahead is not None:
            return ahead
        fact, session = self._fact(machine), self._publisher.session(self.server)
        known = session is not None and session.facts.hypervisor is not None
        there = self.state_of(machine) is not None if known else fact is not None and fact.power != "Off"
        if there or (fact is not None and fact.busy):
            failure = fact.failure if fact is not None and there and self._is_news() else ""
            why = f" ({failure})" if failure else ""
            return Verdict(False, "", f"{machine.resource_id} to be gone from {self.server}{why}")
        return DONE

    def is_lost(self, machine: VirtualMachine) -> bool:
        """Has another hand deleted it, of which the hypervisor told once?"""
        fact, session = self._fact(machine), self._publisher.session(self.server)
        if session is None or session.facts.hypervisor is None or self.state_of(machine) is not None:
            return False
        return machine.properties.hypervisor is not None or (fact is not None and fact.presence == "gone")

    def is_busy(self, machine: VirtualMachine) -> bool:
        """Is the host at a work on the machine that may take long?"""
        fact = self._fact(machine)
        return fact is not None and fact.busy

    def state_of(self, machine: VirtualMachine) -> MachineState | None:
        """What the host's hypervisor tells of the machine: by its own id, where that is known, else by our mark."""
        session = self._publisher.session(self.server)
        if session is None:
            return None
        identity, fact = machine.properties.hypervisor, self._fact(machine)
        own = identity.id if identity is not None and identity.id else fact.id if fact is not None else ""
        return session.tables.states.get(own.lower()) if own else session.tables.marked.get(machine.resource_id)

    def awaits(self, machine: VirtualMachine) -> Verdict:
        """Can the machine come here: are its ports bound, or does the hypervisor say that it brings them along?"""
        ports = self.ports(machine)
        if ports.settled or self._ahead() is not None:
            return ports
        state = self.state_of(machine)
        return DONE if state is not None and state.awaited else ports

    def failure(self, machine: VirtualMachine, generation: int) -> str:
        """Why this host's last verb on the machine failed, if that was about this generation of it."""
        fact = None if self._ahead() is not None else self._fact(machine)
        if fact is None or fact.generation != generation or not self._is_news():
            return ""
        return fact.failure

    def stays(self, machine: VirtualMachine) -> Verdict:
        """Does the machine run here, with nothing under way that could take it away? Only a living host can say so.

        A host tells its facts before the ack of what comes after them, so what they say of a migration holds for all
        that it had begun before it acked.
        """
        ahead = self._ahead()
        if ahead is not None and not ahead.settled:
            return ahead
        fact, state = self._fact(machine), self.state_of(machine)
        if state is not None and state.stranded:
            return Verdict(False, "", f"somebody to end it: {state.stranded}")
        if fact is not None and fact.migrating:
            return Verdict(False, "", f"the hypervisor of {self.server}, which is still at work on it")
        if fact is None or fact.power != "Running":
            return Verdict(False, "", f"{machine.resource_id} to run on {self.server} or where it goes")
        return DONE

    def _ahead(self) -> Verdict | None:
        """What must come before facts mean anything; None when they do."""
        agent, session = self._publisher.managed.get(self.server), self._publisher.session(self.server)
        if agent is None:
            return DONE
        if session is None:
            self._acked_at = None
            return Verdict(False, "", f"the agent of {self.server} to come back")
        missing = session.missing()
        if missing is not None and missing <= self._revision:
            why = trouble_of(self._publisher, self.server)
            return Verdict(False, "", f"{self.server} to apply revision {self._revision}{why}")
        if self._acked_at is None:
            self._acked_at = asyncio.get_running_loop().time()
        if not agent.hypervisor:
            return DONE
        if not session.facts_heard:
            return Verdict(False, "", f"the first facts of {self.server}")
        if session.silence:
            return Verdict(False, "", f"the hypervisor of {self.server} ({session.silence})")
        return None

    def _fact(self, machine: VirtualMachine) -> MachineFact | None:
        session = self._publisher.session(self.server)
        return session.tables.machines.get(machine.resource_id) if session is not None else None

    def _is_news(self) -> bool:
        session = self._publisher.session(self.server)
        if session is None or self._acked_at is None:
            return False
        if session.facts_cover(self._revision):
            return True
        return asyncio.get_running_loop().time() - self._acked_at > LATE_FACTS_S
