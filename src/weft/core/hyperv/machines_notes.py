"""What our lines in a machine's notes say. Pure.

Our mark is `weft: NAME VMID`: notes are copied with machines, so it counts only where it names the machine's own id.
What was made for it stands in further lines, `weft disk: PATH`. What was taken off the network, since another ran with
its address, is `weft disconnected: ADAPTER SWITCH`, and counts where the adapter is the machine's own.
"""

from collections.abc import Collection

MARK, DEFINING, DISK, RESTORING = "weft: ", "weft defining: ", "weft disk: ", "weft restoring: "
UNPLUGGED = "weft disconnected: "
"""Beginnings of our lines; DEFINING instead of MARK until the machine is whole."""


def marked(notes: str, own: str) -> str:
    """The resource id that our mark says; empty where there is none, or one that came along with a copy."""
    return _named(notes, MARK, own)


def defining(notes: str, own: str) -> str:
    """The resource id of a machine that was being defined, and was not to its end."""
    return _named(notes, DEFINING, own)


def disks_of(notes: str) -> tuple[str, ...]:
    """The files that Define made for it."""
    return tuple(line.removeprefix(DISK) for line in _lines(notes) if line.startswith(DISK))


def announced(notes: str, number: int) -> str:
    """With the number of a restore that is about to be carried out, which takes this line away again."""
    lines = [line for line in _lines(notes) if line and not line.startswith(RESTORING)]
    return "\r\n".join([*lines, f"{RESTORING}{number}"])


def is_announced(notes: str, number: int) -> bool:
    return f"{RESTORING}{number}" in _lines(notes)


def is_isolated(notes: str, adapters: Collection[str]) -> bool:
    """Did Disconnect take adapters of it off the network? By their ids."""
    told = (line.removeprefix(UNPLUGGED).partition(" ")[0] for line in _lines(notes) if line.startswith(UNPLUGGED))
    own = {one.lower() for one in adapters}
    return any(one.lower() in own for one in told)


def _lines(notes: str) -> list[str]:
    """Ended by what Windows ends lines with, and by nothing else that Unicode has: paths may have that."""
    return notes.replace("\r\n", "\n").split("\n")


def _named(notes: str, beginning: str, own: str) -> str:
    for line in _lines(notes):
        name, _, of = line.removeprefix(beginning).strip().rpartition(" ")
        if line.startswith(beginning) and of.lower() == own:
            return name
    return ""
