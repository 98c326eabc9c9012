"""What a session leaves of a machine that it was making when it was lost. Pure.

Hyper-V makes a machine without notes, and an imported copy with those of its original: until our first line is in them
nothing on the machine says whose it is. So before it makes one a script claims it, by a small file in the host's folder
for machines: what the machine is called, and which machines were there already. The claim goes when the machine is
whole. Whoever finds one later, FACTS, compares: a machine that was not there then, has that name or lies in that
folder, and has no mark of ours, is what that script made.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from weft.core.hyperv.machines_notes import defining, disks_of, marked
from weft.model.hypervisor import MachineState

CLAIMS = """
$claims = 'weft-defining'

function New-Claim {
    param($Machine, $Before, $Target, $Folders)
    try {
        $virtual = Get-VMHost
        $folder = $virtual.VirtualMachinePath
        if (-not (Test-Path -LiteralPath $folder)) {
            New-Item -ItemType Directory -Path $folder | Out-Null
        }
        $path = Join-Path -Path $folder -ChildPath ('{0}-{1}-{2}.json' -f $claims, $virtual.Name, $Machine)
        $claim = [pscustomobject]@{
            host = [string]$virtual.Name
            machine = $Machine
            before = @($Before)
            target = $Target
            folders = @($Folders)
        } | ConvertTo-Json -Depth 8 -Compress
        Remove-Claim -Path $path
        New-Item -ItemType File -Path $path -Value $claim | Out-Null
        return $path
    } catch {
        # a user of Hyper-V who may not write there makes machines all the same
        return ''
    }
}

function Remove-Claim {
    param($Path)
    if ($Path -and (Test-Path -LiteralPath $Path)) {
        Remove-Item -LiteralPath $Path -Force
    }
}

function Read-Claims {
    param($Folder)
    $pattern = '{0}-*.json' -f $claims
    try {
        if (Test-Path -LiteralPath $Folder) {
            # formatted, what Get-Content hands out is a text and no more: ConvertTo-Json would write where it came from
            Get-ChildItem -LiteralPath $Folder -File | Where-Object { $_.Name -like $pattern } | ForEach-Object {
                [pscustomobject]@{
                    path = [string]$_.FullName
                    text = ('{0}' -f (Get-Content -LiteralPath $_.FullName -Raw))
                }
            }
        }
    } catch {
        return
    }
}
"""
"""Functions about claims. Their name has the host's: nodes of a cluster may have one folder. Where it cannot be written
or read there are none."""


class Begun(msgspec.Struct, frozen=True):
    """A machine of the host, its notes and where its files are."""

    state: MachineState
    notes: str = ""
    path: str = ""


class Claim(msgspec.Struct, frozen=True):
    """As a script wrote it."""

    host: str
    machine: str
    before: tuple[str, ...]
    """VMIds."""
    target: str = ""
    """Folder of a copy; empty where a machine is made new."""
    folders: tuple[str, ...] = ()
    """They go with what is left."""


class Leaving(msgspec.Struct, frozen=True):
    """What is left of an attempt to make a machine, for REMOVE (machines_define.py)."""

    machine: str
    """Our name of it."""
    id: str = ""
    """VMId; empty if none was made yet."""
    files: tuple[str, ...] = ()
    below: str = ""
    """Disks of the machine that lie in this folder are copies made for it."""
    folders: tuple[str, ...] = ()


def leavings(begun: Iterable[Begun], host: str, claims: Iterable[Mapping[str, Any]]) -> Iterator[Leaving]:
    """What `host` has of machines that are not whole. A claim that cannot be read claims nothing."""
    machines = list(begun)
    half = [one for one in machines if defining(one.notes, one.state.id)]
    for one in half:
        yield Leaving(defining(one.notes, one.state.id), one.state.id, disks_of(one.notes))
    for written in claims:
        claim = _claim(written)
        if claim is None or claim.host.lower() != host.lower():
            continue
        left = [one for one in machines if _made_by(claim, one)]
        files, folders = (str(written["path"]),), claim.folders
        if any(_lies_in(claim.target, one) for one in machines if one not in (*left, *half)):
            # it became whole, or is another's by now: its folder stays
            folders = tuple(one for one in folders if one != claim.target)
        yield from (Leaving(claim.machine, one.state.id, files, claim.target, folders) for one in left)
        if not left:
            yield Leaving(claim.machine, "", files, folders=folders)


def _claim(written: Mapping[str, Any]) -> Claim | None:
    try:
        return msgspec.json.decode(str(written["text"]), type=Claim)
    except msgspec.DecodeError:
        return None


def _made_by(claim: Claim, one: Begun) -> bool:
    """It came after the claim, nobody has marked it, and it does not run: nothing is lost with it."""
    own = one.state.id
    if own in {each.lower() for each in claim.before} or marked(one.notes, own) or defining(one.notes, own):
        return False
    if one.state.power != "Off":
        return False
    if claim.target:
        return _lies_in(claim.target, one)
    return one.state.name == claim.machine and not one.notes and not one.state.checkpoints


def _lies_in(folder: str, one: Begun) -> bool:
    return bool(folder) and one.path.rstrip("\\").lower() == folder.rstrip("\\").lower()
