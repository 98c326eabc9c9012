"""Whether a domain counts as Running, Off or Saved, and what is known of it that libvirt does not say.

Called by facts.py, the verbs and, from libvirt's thread, the driver. A domain that Prepare created paused is Off until
it was resumed; one that somebody pauses afterwards is Running still, since its addresses are in use. libvirt gives both
the same state and reason, so what has run is known from the mark in the metadata of its present life, and from having
seen it run.
"""

import threading
from collections.abc import Callable
from typing import Any

import libvirt

from weft.agent.libvirt.mark import RAN
from weft.model.hypervisor import MachineState

OFF, RUNNING, SAVED = "Off", "Running", "Saved"
REVERT_SECONDS = 20.0
"""A revert has told its end by then, or it had none to tell."""

_NOT_YET = (
    libvirt.VIR_DOMAIN_PAUSED_STARTING_UP,
    libvirt.VIR_DOMAIN_PAUSED_MIGRATION,
    libvirt.VIR_DOMAIN_PAUSED_FROM_SNAPSHOT,
)
"""Paused before it first runs here: created, coming by a migration, brought back by a restore. (A source pauses for the
last moments of a migration too: that one was seen running.)"""
_PERHAPS = (libvirt.VIR_DOMAIN_PAUSED_USER, libvirt.VIR_DOMAIN_PAUSED_UNKNOWN)
_REVERT_BEGINS = (libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_FROM_SNAPSHOT)
_REVERT_ENDS = (
    (libvirt.VIR_DOMAIN_EVENT_RESUMED, libvirt.VIR_DOMAIN_EVENT_RESUMED_FROM_SNAPSHOT),
    (libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_FROM_SNAPSHOT),
    (libvirt.VIR_DOMAIN_EVENT_DEFINED, libvirt.VIR_DOMAIN_EVENT_DEFINED_FROM_SNAPSHOT),
    (libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED),
)


class Lives:
    """What was seen of the domains of a host. Safe from several threads; `now` are seconds of a clock that does not
    jump."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._guard = threading.Condition()
        self._ran: dict[str, int] = {}
        """libvirt's number of the life that was seen running, by UUID."""
        self._told: dict[str, MachineState] = {}
        self._reverting: dict[str, float] = {}
        """Since when, by UUID."""
        self._still: dict[str, tuple[int, float]] = {}
        """By UUID: the life that was seen standing still for the last of a migration, and since when."""

    def ran(self, uuid: str, life: int) -> None:
        with self._guard:
            self._ran[uuid] = life

    def has_run(self, uuid: str, life: int) -> bool:
        with self._guard:
            return self._ran.get(uuid) == life

    def stands_still(self, uuid: str, life: int) -> float:
        """It is seen standing still for the last of a migration. Returns the seconds since it was so first."""
        with self._guard:
            now = self._now()
            if self._still.get(uuid, (life, now))[0] != life:
                del self._still[uuid]
            return now - self._still.setdefault(uuid, (life, now))[1]

    def goes_on(self, uuid: str) -> None:
        """It is seen not to stand still."""
        with self._guard:
            self._still.pop(uuid, None)

    def tell(self, state: MachineState) -> MachineState:
        """What is told of a machine: while it is reverted what was told before. libvirt stops it then and starts it
        anew, and whoever took it for off meanwhile would stop it for good."""
        with self._guard:
            if self._left(state.id) > 0 and state.id in self._told:
                return self._told[state.id]
            self._told[state.id] = state
            return state

    def told(self, uuid: str) -> str:
        """Power of the machine as it was told last; empty if it was not, or was stopped by us since."""
        with self._guard:
            return self._told[uuid].power if uuid in self._told else ""

    def stopped(self, uuid: str) -> None:
        """By us."""
        with self._guard:
            self._told.pop(uuid, None)

    def settle(self, uuid: str) -> None:
        """Wait for the end of a revert that is under way: a verb must not come in between."""
        with self._guard:
            while (left := self._left(uuid)) > 0:
                self._guard.wait(left)

    def _left(self, uuid: str) -> float:
        """Seconds for which a revert may still be under way."""
        since = self._reverting.get(uuid)
        return 0.0 if since is None else since + REVERT_SECONDS - self._now()

    def happened(self, uuid: str, event: int, detail: int) -> None:
        """A lifecycle event of libvirt."""
        with self._guard:
            if (event, detail) == _REVERT_BEGINS:
                self._reverting[uuid] = self._now()
            elif (event, detail) in _REVERT_ENDS:
                self._reverting.pop(uuid, None)
                self._guard.notify_all()


def power_of(domain: Any, lives: Lives, run: str) -> str:
    """`run` is what its live metadata says. Raises libvirtError if it went meanwhile."""
    state, reason = domain.state()
    match state:
        case libvirt.VIR_DOMAIN_SHUTOFF:
            return SAVED if domain.hasManagedSaveImage() else OFF
        case libvirt.VIR_DOMAIN_CRASHED:
            return OFF
        case libvirt.VIR_DOMAIN_PAUSED:
            if lives.has_run(domain.UUIDString(), domain.ID()):
                return RUNNING
            return OFF if reason in _NOT_YET or (reason in _PERHAPS and run != RAN) else RUNNING
    lives.ran(domain.UUIDString(), domain.ID())
    return RUNNING


def is_held(domain: Any, lives: Lives, run: str) -> bool:
    """Does it exist without having run yet, with its ports?"""
    return bool(domain.isActive()) and power_of(domain, lives, run) == OFF
