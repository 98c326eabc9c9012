"""Whether a domain counts as Running, Off or Saved.

Called by facts.py and the verbs. A domain that Prepare created paused is Off until it was resumed; one that somebody
pauses afterwards is Running still, since its addresses are in use. libvirt gives both the same state and reason, so
what has run is known from the mark that Start leaves in the metadata of its present life, and from having seen it run.
"""

import threading
from typing import Any

import libvirt

OFF, RUNNING, SAVED = "Off", "Running", "Saved"

_NOT_YET = (
    libvirt.VIR_DOMAIN_PAUSED_STARTING_UP,
    libvirt.VIR_DOMAIN_PAUSED_MIGRATION,
    libvirt.VIR_DOMAIN_PAUSED_FROM_SNAPSHOT,
)
"""Paused before it first runs here: created, coming by a migration, brought back by a restore. (A source pauses for the
last moments of a migration too: that one was seen running.)"""
_PERHAPS = (libvirt.VIR_DOMAIN_PAUSED_USER, libvirt.VIR_DOMAIN_PAUSED_UNKNOWN)


class Lives:
    """Domains that were seen running, in their present lives. Safe from several threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._seen: dict[str, int] = {}
        """libvirt's number of the life, by UUID."""

    def ran(self, uuid: str, life: int) -> None:
        with self._guard:
            self._seen[uuid] = life

    def has_run(self, uuid: str, life: int) -> bool:
        with self._guard:
            return self._seen.get(uuid) == life


def power_of(domain: Any, lives: Lives, has_run: bool) -> str:
    """`has_run` is what its live metadata says. Raises libvirtError if it went meanwhile."""
    state, reason = domain.state()
    match state:
        case libvirt.VIR_DOMAIN_SHUTOFF:
            return SAVED if domain.hasManagedSaveImage() else OFF
        case libvirt.VIR_DOMAIN_CRASHED:
            return OFF
        case libvirt.VIR_DOMAIN_PAUSED:
            if lives.has_run(domain.UUIDString(), domain.ID()):
                return RUNNING
            return OFF if reason in _NOT_YET or (reason in _PERHAPS and not has_run) else RUNNING
    lives.ran(domain.UUIDString(), domain.ID())
    return RUNNING


def is_held(domain: Any, lives: Lives, has_run: bool) -> bool:
    """Does it exist without having run yet, with its ports?"""
    return bool(domain.isActive()) and power_of(domain, lives, has_run) == OFF
