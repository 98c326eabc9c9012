"""What a machine's host was asked to do once: what is due, what is done already, and what came of it.

An errand is done once: the number of the last one of each machine is remembered on disk before the controller hears of
its end. What an agent was killed in is asked for again, but for what the hypervisor shows to be done: of a restore, by
an announcement on the machine that goes with it. Pure; called by verbs.py and machines.py.
"""

from collections.abc import Callable, Collection, Mapping

from weft.model.hypervisor import MachineState
from weft.model.records import Errand, Machine

Ended = tuple[int, str]
"""Number of the last errand of a machine, and why it failed; empty if it did not."""

COPY = "copy"
"""The errand by which its machine is made, of another one of the host."""

RESTORE = "restore"

_RESTS = ("Off", "Running", "Saved")


def due(machine: Machine | None, ended: Mapping[str, Ended]) -> Errand | None:
    """The errand of a machine that has not ended yet."""
    if machine is None or machine.errand is None or machine.move_to or machine.power not in _RESTS:
        return None
    return machine.errand if ended.get(machine.machine, (0, ""))[0] != machine.errand.number else None


def is_copy(machine: Machine) -> bool:
    """Is it to be made of another one?"""
    return machine.errand is not None and machine.errand.kind == COPY


def has_failed(machine: Machine, ended: Mapping[str, Ended]) -> bool:
    """Is its record about to be taken back, since the errand in it failed?"""
    errand = machine.errand
    if errand is None or machine.machine not in ended:
        return False
    number, failure = ended[machine.machine]
    return number == errand.number and bool(failure)


def is_done(errand: Errand, state: MachineState) -> bool:
    """Does the hypervisor show it? Of a restore, a rewrite and an export nothing can be seen; a copy may be there
    without its disks yet, which its driver sees."""
    named = [one for one in state.checkpoints if (one.id == errand.id if errand.id else one.name == errand.name)]
    return (errand.kind == "checkpoint" and bool(named)) or (errand.kind == "deleteCheckpoint" and not named)


class Errands:
    """One host's. `remember` is given all that has ended whenever one does, `remember_begun` the restores that were
    announced, and keep it on disk; they may raise OSError."""

    def __init__(
        self,
        ended: Mapping[str, Ended],
        remember: Callable[[Mapping[str, Ended]], None],
        begun: Mapping[str, int] = {},
        remember_begun: Callable[[Mapping[str, int]], None] = lambda begun: None,
    ) -> None:
        self.begun: dict[str, int] = dict(begun)
        """By machine: number of the last restore that was announced on the hypervisor before it was carried out."""
        self._remember_begun = remember_begun
        self.ended: dict[str, Ended] = dict(ended)
        """What is on disk, and so can be told: a number that was told and forgotten would be carried out again."""
        self.trouble = ""
        """Why the newest cannot be written; empty while all are."""
        self._known = self.ended
        self._remember = remember

    @property
    def known(self) -> Mapping[str, Ended]:
        """What has ended, also what could not be written yet: it is not carried out again while this process lives."""
        return self._known

    def settle(
        self,
        machines: Mapping[str, Machine],
        states: Mapping[str, MachineState],
        missing: Collection[str],
        busy: Collection[str],
    ) -> None:
        """End what is done already, or cannot be, for the machine is not there; write what could not be written."""
        if self.trouble:
            self._write()
        for name, machine in machines.items():
            errand = due(machine, self._known)
            if errand is None or name in busy:
                continue
            state = states.get(name)
            if name in missing:
                self.end(name, errand.number, f"{errand.kind}: the hypervisor has no machine {name}", machines)
            elif state is not None and not state.awaited and is_done(errand, state):
                self.end(name, errand.number, "", machines)

    def end(self, name: str, number: int, failure: str, machines: Collection[str]) -> None:
        """Remember what came of it; `machines` are those that have a record here, of others nothing is kept."""
        self._known = {one: what for one, what in self._known.items() if one in machines}
        self.begun = {one: begun for one, begun in self.begun.items() if one in machines}
        self._known[name] = (number, failure)
        self._write()

    def begin(self, name: str, number: int) -> None:
        """A restore was announced and is carried out now. Raises OSError: then it is not begun."""
        self._remember_begun({**self.begun, name: number})
        self.begun[name] = number

    def _write(self) -> None:
        try:
            self._remember(self._known)
        except OSError as error:
            self.trouble = f"what came of errands cannot be written, and is not told until it is: {error}"
        else:
            self.ended, self.trouble = dict(self._known), ""
