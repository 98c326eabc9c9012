"""Carries out what machines.py asks of the hypervisor: one verb per machine at a time, machines beside each other, and
the host itself like one more.

Called by agent.py. A verb that failed is asked for again after a while, more and more seldom; a migration is not: the
controller decides what comes of it. What failed stands in the facts until the machine is as it should be, whatever
the driver raised.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Set

import msgspec

from weft.agent.errands import RESTORE, Ended, Errands, is_copy
from weft.agent.hypervisors import (
    HOST,
    Announce,
    CarryOut,
    Define,
    Hypervisor,
    HypervisorFailure,
    Migrate,
    Remove,
    Verb,
)
from weft.agent.machines import World, host_problems, host_verbs, known, names, verb_for
from weft.agent.reconcile import FAILED
from weft.wire.messages import MachineFact, Problem

log = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0
"""A verb that was carried out, but whose result is not to be seen yet, is not repeated before."""
MAX_SECONDS = 30.0
MOST_OF_HOST = 4
"""So many verbs that are about no machine of ours are carried out at once."""
MOST_PROBLEMS = 50


Covered = tuple[frozenset[str], frozenset[str]]
"""Machines whose migrations have ended, and those of which any verb has."""


class _Attempt(msgspec.Struct):
    """The last verb of a machine."""

    verb: Verb
    not_before: float = 0.0
    pause: float = AGAIN_SECONDS
    failure: str = ""

    def failed(self, words: str) -> bool:
        """Note a failure. Returns whether it is another than at the last attempt: only then it is logged."""
        news = words != self.failure
        self.failure, self.pause = words, min(2 * self.pause, MAX_SECONDS)
        return news


class Verbs:
    """One host's hypervisor at work."""

    def __init__(self, hypervisor: Hypervisor, wake: Callable[[], None], errands: Errands | None = None) -> None:
        self.errands = errands or Errands({}, lambda ended: None)
        self.leaving: set[str] = set()
        self.half_made: set[str] = set()
        """Machines whose making failed and that have not been made or removed since."""
        self.migrated: set[str] = set()
        """Machines whose migration ended, well or not, after the hypervisor was last asked what runs here."""
        self.ended: set[str] = set()
        """Machines of which any verb did."""
        self._hypervisor = hypervisor
        self._wake = wake
        self._attempts: dict[str, _Attempt] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def consider(self, world: World) -> float | None:
        """Start what is due. Returns the seconds until something will be due again; None if nothing waits."""
        now = asyncio.get_running_loop().time()
        waits: list[float] = []
        self.errands.settle(world.machines, world.states, world.missing, self._tasks.keys() | self.ended)
        world = msgspec.structs.replace(world, errands=self.errands.known)
        if self.errands.trouble:
            waits.append(MAX_SECONDS)
        own = host_verbs(world)
        for name in (*self._of_host(own), *names(world)):
            if name in self._tasks or name in self.ended:
                continue  # what is known of it is from before that verb ended: the next facts are on their way
            verb = own.get(name) if name.startswith(HOST) else verb_for(name, world)
            last = self._attempts.get(name)
            if verb is None:
                self._attempts.pop(name, None)
            elif last is None or last.verb != verb:
                self._start(name, _Attempt(verb))
            elif last.failure and isinstance(verb, Migrate):
                continue
            elif now >= last.not_before:
                self._start(name, last)
            else:
                waits.append(last.not_before - now)
        return min(waits, default=None)

    def _of_host(self, own: Mapping[str, Verb]) -> list[str]:
        """What there is to do or was for the host itself; of what waits only so much that not all is begun at once."""
        tried = [name for name in self._attempts if name.startswith(HOST)]
        free = MOST_OF_HOST - sum(name in self._tasks for name in tried)
        return [*tried, *[name for name in own if name not in self._attempts][: max(0, free)]]

    def problems(self, world: World) -> tuple[Problem, ...]:
        """Why what is wanted of the host itself failed or is not done; of machines it stands in their facts."""
        failures = [
            last.failure for name, last in sorted(self._attempts.items()) if name.startswith(HOST) and last.failure
        ]
        own = [self.errands.trouble] if self.errands.trouble else []
        return tuple(Problem(FAILED, words) for words in (*own, *failures, *host_problems(world))[:MOST_PROBLEMS])

    @property
    def busy(self) -> Set[str]:
        """Machines that the hypervisor is asked something about just now."""
        return self._tasks.keys()

    def asking(self) -> Covered:
        """The hypervisor is asked what runs here. Returns what its answer will hold for: that has ended by now."""
        return frozenset(self.migrated), frozenset(self.ended)

    def answered(self, covered: Covered) -> None:
        """It has answered, also if that took long: what ended before it was asked is seen."""
        self.migrated -= covered[0]
        self.ended -= covered[1]

    def facts(self, world: World, presence: Callable[[str], str] = lambda name: "") -> tuple[MachineFact, ...]:
        """Every machine that the hypervisor or the policy knows."""
        result = []
        for name in known(world):
            state, machine, last = world.states.get(name), world.machines.get(name), self._attempts.get(name)
            result.append(
                MachineFact(
                    name,
                    state.power if state else "Off",
                    machine.generation if machine else 0,
                    # what is asked of it now may be the cure
                    last.failure if last else state.stranded if state else "",
                    self._is_migrating(name) or (state is not None and state.migrating),
                    presence(name),
                    state.id if state else "",
                    name in world.by_hand,
                    *self._errand(name),
                    self._takes_long(name),
                )
            )
        return tuple(result)

    def _errand(self, name: str) -> Ended:
        """Told only with what the hypervisor says since."""
        return (0, "") if name in self.ended else self.errands.ended.get(name, (0, ""))

    def _takes_long(self, name: str) -> bool:
        """Is a work under way on the machine that may take long, or did it make or remove the machine just now, so that
        it is not seen yet what is there?"""
        attempt = self._attempts.get(name)
        if attempt is None or not (name in self._tasks or name in self.ended):
            return False
        return isinstance(attempt.verb, Define | Remove | CarryOut if name in self._tasks else Define | Remove)

    def _is_migrating(self, name: str) -> bool:
        under_way = name in self._tasks and isinstance(self._attempts[name].verb, Migrate)
        return under_way or name in self.migrated

    async def close(self) -> None:
        """Stop waiting for verbs; the hypervisor may still finish them."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _start(self, name: str, attempt: _Attempt) -> None:
        self._attempts[name] = attempt
        self._tasks[name] = asyncio.create_task(self._carry_out(name, attempt), name=f"{attempt.verb}")

    async def _carry_out(self, name: str, attempt: _Attempt) -> None:
        try:
            log.info("%s", attempt.verb)
            await self._hypervisor.carry_out(await self._announced(attempt.verb))
            attempt.failure, attempt.pause = "", AGAIN_SECONDS
            if isinstance(attempt.verb, Remove):
                self.leaving.discard(name)
            if isinstance(attempt.verb, Remove | Define) or is_copying(attempt.verb):
                self.half_made.discard(name)
            self._end_errand(attempt.verb, "")
        except HypervisorFailure as failure:
            if attempt.failed(str(failure)):
                log.warning("%s", failure)
            self._left_over(name, attempt.verb)
            self._end_errand(attempt.verb, str(failure))
        except Exception as error:  # a driver's bug: this machine has failed, the others go on
            verb = f"{type(attempt.verb).__name__} of {name}"
            if attempt.failed(f"{verb}: {type(error).__name__}: {error}"):
                log.exception("%s: the driver broke", verb)
            self._left_over(name, attempt.verb)
            self._end_errand(attempt.verb, f"{verb}: {error}")
        finally:
            attempt.not_before = asyncio.get_running_loop().time() + attempt.pause
            del self._tasks[name]
            self.ended.add(name)
            if isinstance(attempt.verb, Migrate):
                self.migrated.add(name)
            self._wake()

    async def _announced(self, verb: Verb) -> Verb:
        """A restore cannot be seen, so it is announced: on the machine, then on disk, and then carried out. Killed in
        between, this agent, or the next, finds both notes if it is still to come, and only its own if it is done."""
        errand = verb.machine.errand if isinstance(verb, CarryOut) else None
        if not isinstance(verb, CarryOut) or errand is None or errand.kind != RESTORE:
            return verb
        if self.errands.begun.get(verb.machine.machine) == errand.number:
            return msgspec.structs.replace(verb, again=True)
        await self._hypervisor.carry_out(Announce(verb.machine, verb.id))
        try:
            self.errands.begin(verb.machine.machine, errand.number)
        except OSError as error:
            raise HypervisorFailure(f"restore {errand.name!r}: that it begins cannot be noted: {error}") from error
        return verb

    def _left_over(self, name: str, verb: Verb) -> None:
        """Its making failed: who takes it back looks for what is left of it."""
        if isinstance(verb, Define) or is_copying(verb):
            self.half_made.add(name)

    def _end_errand(self, verb: Verb, failure: str) -> None:
        """Well or not, it is not carried out again."""
        if isinstance(verb, CarryOut) and verb.machine.errand is not None:
            name = verb.machine.machine
            self.errands.end(name, verb.machine.errand.number, failure, {*self.errands.known, name})


def is_copying(verb: Verb) -> bool:
    """Does it make a machine as a copy of another?"""
    return isinstance(verb, CarryOut) and is_copy(verb.machine)
