"""What this host's machines were before now: which were here, and whose hand changed them, remembered on disk.

Called by agent.py whenever the hypervisor was asked; the rules are in presence.py and hands.py.
"""

from collections.abc import Collection, Mapping

from weft.agent.hands import Hands
from weft.agent.memory import Memory
from weft.agent.presence import Presence
from weft.agent.verbs import Verbs
from weft.model.hypervisor import MachineState
from weft.model.records import Machine


class Guests:
    """Of one host; without memory it begins with nothing known."""

    def __init__(self, memory: Memory | None) -> None:
        self._memory = memory
        self.presence = Presence(memory.machines() if memory is not None else ())
        self.hands = Hands(*(memory.powers() if memory is not None else ()))

    def look(
        self,
        states: Mapping[str, MachineState],
        machines: Mapping[str, Machine],
        verbs: Verbs,
        boot: str,
        now: float,
    ) -> None:
        """Take in what the hypervisor says, once the policy is known."""
        had, agreed = set(self.presence.had), (self.hands.boot, dict(self.hands.agreed))
        self.hands.welcome(states, machines, had | verbs.leaving, boot)
        here = {name: state for name, state in states.items() if name not in self.hands.arrived}
        self.presence.look(here, machines, verbs.busy, now)
        self.hands.look(here, machines, verbs.busy | verbs.ended, boot)
        if self._memory is None:
            return
        if had != self.presence.had:
            self._memory.remember_machines(self.presence.had)
        if agreed != (self.hands.boot, self.hands.agreed):
            self._memory.remember_powers(self.hands.boot, self.hands.agreed)

    @property
    def by_hand(self) -> Collection[str]:
        """See Hands.by_hand."""
        return self.hands.by_hand
