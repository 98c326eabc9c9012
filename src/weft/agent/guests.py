"""What the hypervisor says of this host's machines, and what they were before now: which were here, and whose hand
changed them, remembered on disk.

Called by agent.py; the rules are in presence.py and hands.py. A hypervisor that does not answer is a trouble that lasts
until it does: what it last said holds as long, but nothing is asked of it and nothing concluded from its silence. One
that hangs or is slow must not keep its host from its policy: it is waited for once, and from then on only looked at,
until it has answered in time. One that has answered late is slow from then on, as long as its answers are late, and
that is said: its next answer is given as much time again before it counts as none.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping

from weft.agent.hands import Hands
from weft.agent.hypervisors import Hypervisor, HypervisorFailure
from weft.agent.isolation import isolating
from weft.agent.machines import World
from weft.agent.memory import Memory
from weft.agent.plane import Plane
from weft.agent.presence import Presence
from weft.agent.trouble import Trouble
from weft.agent.verbs import Covered, Verbs
from weft.model.hypervisor import HypervisorState, MachineState
from weft.model.records import Machine
from weft.wire.messages import HOST_UNREACHABLE, SERVER_WARNING, Problem

log = logging.getLogger(__name__)
PATIENCE_SECONDS = 10.0
"""How long an answer of a hypervisor may take before it counts as none: PowerShell with many machines takes seconds."""
LONGEST = 6
"""Times that patience: what has taken so long is no answer any more, however slow the last one was."""


class _Question:
    """What the hypervisor has, asked once."""

    def __init__(self, hypervisor: Hypervisor, covers: Covered, now: Callable[[], float]) -> None:
        self.answer = asyncio.create_task(hypervisor.facts(), name="what the hypervisor has")
        self.covers = covers
        """The answer holds for the ends of these verbs, and of none that ended since."""
        self._began = now()
        self._ended: float | None = None
        self.answer.add_done_callback(lambda _: self._end(now()))

    def _end(self, now: float) -> None:
        self._ended = now

    def seconds(self, now: float) -> float:
        """How long it took, or takes already."""
        return (self._ended if self._ended is not None else now) - self._began


class Guests:
    """Of one host; without memory it begins with nothing known."""

    def __init__(self, memory: Memory | None, patience: float = PATIENCE_SECONDS) -> None:
        self.state = HypervisorState()
        """What the hypervisor last said."""
        self.known = False
        """It has said something."""
        self._trouble = Trouble(log, "hypervisor")
        self._lateness = Trouble(log, "answers of the hypervisor")
        self._patience = patience
        self._took = 0.0
        """Seconds that it took to answer last, or about so many."""
        self._question: _Question | None = None
        """That was not answered yet."""
        self._waits = True
        """The next question is waited for: the last one was answered in time."""
        self._memory = memory
        self.presence = Presence(memory.machines() if memory is not None else ())
        self.hands = Hands(*(memory.powers() if memory is not None else ()))

    async def ask(self, hypervisor: Hypervisor, verbs: Verbs, now: Callable[[], float]) -> bool:
        """Whether it answered: then `state` is new, or as it was when a question that took long was asked."""
        if self._question is None:
            self._question = _Question(hypervisor, verbs.asking(), now)
        question, waited = self._question, self._waits
        if waited:
            await asyncio.wait({question.answer}, timeout=self._patience)
        seconds, allowed = question.seconds(now()), self._allowed
        if not question.answer.done():
            # it goes on, and keeps nobody waiting any more
            self._waits = False
            if (waited and not self._lateness.words) or seconds > allowed:
                self._trouble.lasts(f"it was asked what it has, and said nothing for {allowed:.3g} s", now())
            return False
        self._question, self._waits = None, waited or seconds <= self._patience
        try:
            self.state = question.answer.result()
        except HypervisorFailure as failure:
            self._trouble.lasts(str(failure), now())
            return False
        verbs.answered(question.covers)
        self.known = True
        self._trouble.over(now())
        self._keep_pace(seconds, now())
        return True

    @property
    def _allowed(self) -> float:
        """Seconds that an answer may take before it counts as none."""
        if not self._lateness.words:
            return self._patience
        return min(max(self._patience, 2 * self._took), LONGEST * self._patience)

    def _keep_pace(self, seconds: float, now: float) -> None:
        """One answer that is barely in time is no end of its slowness, nor is each second more or less news."""
        if abs(seconds - self._took) > self._took / 4:
            self._took = seconds
        if seconds > self._patience or (self._lateness.words and seconds > self._patience / 2):
            self._lateness.lasts(f"they take longer than {self._patience:g} s", now)
        else:
            self._lateness.over(now)

    async def close(self) -> None:
        """Wait for no answer any more."""
        if self._question is not None:
            self._question.answer.cancel()
            await asyncio.gather(self._question.answer, return_exceptions=True)

    @property
    def is_asking(self) -> bool:
        """It was asked and has not answered yet."""
        return self._question is not None

    @property
    def trouble(self) -> str:
        """Why the hypervisor does not answer; empty while it does."""
        return self._trouble.words

    def problems(self) -> tuple[Problem, ...]:
        """What keeps the host from its policy, and what makes it slow."""
        found = []
        if self.trouble:
            found.append(Problem(HOST_UNREACHABLE, f"the hypervisor does not answer: {self.trouble}"))
        if self._lateness.words:
            took = f"{self._took:.0f}" if self._took >= 10 else f"{self._took:.2g}"
            words = f"the hypervisor is slow: it took about {took} s to say what it has"
            found.append(Problem(SERVER_WARNING, words))
        return tuple(found)

    def look(
        self, states: Mapping[str, MachineState], machines: Mapping[str, Machine], verbs: Verbs, now: float
    ) -> None:
        """Take in what the hypervisor says, once the policy is known."""
        boot = self.state.boot
        had, agreed = set(self.presence.had), (self.hands.boot, dict(self.hands.agreed))
        self.hands.welcome(states, machines, had | verbs.leaving, boot)
        here = {name: state for name, state in states.items() if name not in self.hands.arrived}
        self.presence.unmade(verbs.half_made - here.keys())
        self.presence.look(here, machines, verbs.busy, now)
        self.hands.look(here, machines, verbs.busy | verbs.ended, boot)
        if self._memory is None:
            return
        if had != self.presence.had:
            self._memory.remember_machines(self.presence.had)
        if agreed != (self.hands.boot, self.hands.agreed):
            self._memory.remember_powers(self.hands.boot, self.hands.agreed)

    def world(self, plane: Plane, verbs: Verbs, isolate: Mapping[str, str], complete: bool, may_start: bool) -> World:
        """All that verbs depend on now. `isolate` is what to do to machines beside a lawful user of their address, by
        the hypervisor's id; `complete` that the whole policy is known, `may_start` that it is the controller's word."""
        standing = plane.standing()
        names = {state.id: name for name, state in plane.states.items()} if isolate else {}
        return World(
            plane.machines,
            plane.states,
            standing.locals,
            standing.subnets,
            standing.mtus,
            verbs.leaving,
            complete,
            plane.settled,
            self.presence.missing,
            may_start,
            standing.settings,
            self.state.dynamic_range,
            self.state.machines,
            by_hand=self.by_hand,
            half_made=verbs.half_made,
            waiting=standing.waiting,
            isolating=isolating(self.state.machines, names, isolate) if isolate else {},
        )

    @property
    def by_hand(self) -> Collection[str]:
        """See Hands.by_hand."""
        return self.hands.by_hand
