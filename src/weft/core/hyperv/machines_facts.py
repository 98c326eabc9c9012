"""Scripts that ask what a Hyper-V host has, and what their answers mean. Pure.

FACTS is all of it, and what says that a machine was begun (machines_leavings.py). PULSE is cheap and asked every other
second: where its fingerprint is another than that of the FACTS that were told, they have changed. It does not see port
profiles and the host's own settings. A checkpoint that was applied is known by event 18596, and its machine by the VMId
among the event's values; the message is in the host's language and read by nobody.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from weft.core.hyperv.machines_leavings import CLAIMS, Begun, Leaving, leavings
from weft.core.hyperv.machines_notes import is_isolated, marked
from weft.core.hyperv.machines_ports import ADAPTERS
from weft.core.hyperv.script import PROLOGUE, Script
from weft.model.hypervisor import AdapterState, CheckpointState, HypervisorState, MachineState
from weft.model.values import InstanceId

_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NO_GUID = "00000000-0000-0000-0000-000000000000"

_READ = """
function Read-Machines {
    param($Machines)
    $all = @($Machines)
    $adapters = @()
    $checkpoints = @()
    if ($all.Count -gt 0) {
        $adapters = @(Get-VMNetworkAdapter -VM $all | ForEach-Object { @{ owner = [string]$_.VMId; adapter = $_ } })
        $checkpoints = @(Get-VMSnapshot -VM $all)
    }
    $kept = @($checkpoints | ForEach-Object {
        $owner = [string]$_.Id
        Get-VMNetworkAdapter -VMSnapshot $_ | ForEach-Object { @{ owner = $owner; adapter = $_ } }
    })
    $every = @($adapters; $kept)
    $profiles = Read-Profiles -Adapters @($every | ForEach-Object { $_.adapter })
    return [pscustomobject]@{
        machines = @($all | ForEach-Object {
            [pscustomobject]@{
                id = [string]$_.Id
                name = [string]$_.Name
                state = [string]$_.State
                notes = [string]$_.Notes
                path = [string]$_.Path
                status = [string]$_.SecondaryOperationalStatus
                clustered = [bool]$_.IsClustered
            }
        })
        checkpoints = @($checkpoints | ForEach-Object {
            [pscustomobject]@{
                machine = [string]$_.VMId
                id = [string]$_.Id
                name = [string]$_.Name
                state = [string]$_.State
            }
        })
        adapters = @($every | ForEach-Object {
            Read-Adapter -Adapter $_.adapter -Owner $_.owner -Profiles $profiles
        })
    }
}
"""
"""One call of each cmdlet for all machines, and one for each checkpoint: Get-VMNetworkAdapter takes one at a time."""

FACTS = Script(
    "facts",
    PROLOGUE
    + ADAPTERS
    + CLAIMS
    + _READ
    + """
$all = @(Get-VM)
$parts = @()
try {
    $parts = @(Read-Machines -Machines $all)
} catch {
    # one of them went while it was read, or cannot be read: which?
    $parts = @($all | ForEach-Object {
        $machine = $_
        try {
            Read-Machines -Machines @($machine)
        } catch {
            $failure = $_
            $left = @(Get-VM | Where-Object { [string]$_.Id -eq [string]$machine.Id })
            if ($left.Count -gt 0) {
                throw $failure
            }
        }
    })
}
$switches = @(Get-VMSwitch | ForEach-Object { [string]$_.Name })
$virtual = Get-VMHost
$system = Get-CimInstance -ClassName 'Win32_OperatingSystem'
[pscustomobject]@{
    parts = $parts
    switches = $switches
    host = [string]$virtual.Name
    claims = @(Read-Claims -Folder $virtual.VirtualMachinePath)
    first = [string]$virtual.MacAddressMinimum
    last = [string]$virtual.MacAddressMaximum
    boot = [string]$system.LastBootUpTime
} | ConvertTo-Json -Depth 8 -Compress
""",
    reads=True,
)
"""{}: a machine that is deleted while it is read is left out, not an error."""

MACHINE = Script(
    "machine",
    PROLOGUE
    + ADAPTERS
    + _READ
    + """
$machine = Get-VM -Id $arguments.id
[pscustomobject]@{
    parts = @(Read-Machines -Machines @($machine))
} | ConvertTo-Json -Depth 8 -Compress
""",
    reads=True,
)
"""{id}: one machine as FACTS has it."""

PULSE = Script(
    "pulse",
    PROLOGUE
    + """
$all = @(Get-VM)
$machines = @($all | ForEach-Object {
    '{0} {1} {2} {3} {4}' -f $_.Id, $_.State, $_.SecondaryOperationalStatus, ([bool]$_.IsClustered), $_.Name
})
$adapters = @()
$checkpoints = @()
if ($all.Count -gt 0) {
    $adapters = @(Get-VMNetworkAdapter -VM $all | ForEach-Object {
        '{0} {1} {2} {3}' -f $_.Id, $_.MacAddress, $_.DynamicMacAddressEnabled, $_.SwitchName
    })
    $checkpoints = @(Get-VMSnapshot -VM $all | ForEach-Object { '{0} {1}' -f $_.Id, $_.Name })
}
$events = @()
try {
    $filter = @{ LogName = 'Microsoft-Windows-Hyper-V-Worker-Admin'; Id = 18596 }
    $events = @(Get-WinEvent -FilterHashtable $filter -MaxEvents 64)
} catch {
    $failure = $_
    if (-not ($failure.FullyQualifiedErrorId -like 'NoMatching*')) {
        throw $failure
    }
}
$restored = @($events | Where-Object { $_.RecordId -gt $arguments.since } | ForEach-Object {
    $values = @($_.Properties | ForEach-Object { [string]$_.Value })
    [pscustomobject]@{ record = [long]$_.RecordId; values = $values }
})
[pscustomobject]@{
    machines = $machines
    adapters = $adapters
    checkpoints = $checkpoints
    restored = $restored
} | ConvertTo-Json -Depth 8 -Compress
""",
    reads=True,
)
"""{since}: record number of the last event of a checkpoint applied that is known."""


class Found(msgspec.Struct, frozen=True):
    """What FACTS told: the state in the model's words, and the notes that it was made from."""

    state: HypervisorState
    notes: Mapping[str, str]
    """By the machine's id."""
    leavings: tuple[Leaving, ...] = ()
    """What was begun and is not whole."""


class Restored(msgspec.Struct, frozen=True):
    """A checkpoint was applied to a machine."""

    record: int
    machine: str
    """VMId in lower case; empty if the event names none."""


def found(answer: Mapping[str, Any]) -> Found:
    """What FACTS wrote. Raises the errors of a mapping that is none of ours (KeyError, ValueError, TypeError)."""
    told = {_id(one["id"]): one for one in _of(answer, "machines")}
    machines = machine_states(answer)
    ends = _mac(answer["first"]), _mac(answer["last"])
    state = HypervisorState(
        machines, ends if all(ends) else None, tuple(answer["switches"]), boot=str(answer["boot"] or "")
    )
    notes = {own: str(one["notes"] or "") for own, one in told.items()}
    begun = [Begun(one, notes[one.id], str(told[one.id]["path"] or "")) for one in machines]
    return Found(state, notes, tuple(leavings(begun, answer["host"], answer["claims"])))


def fingerprint(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """What PULSE would have written when FACTS wrote this."""
    machines, checkpoints = _of(facts, "machines"), _of(facts, "checkpoints")
    kept = {one["id"] for one in checkpoints}
    adapters = [one for one in _of(facts, "adapters") if one["owner"] not in kept]
    return tuple(
        sorted(
            [
                *(f"{one['id']} {one['state']} {one['status']} {one['clustered']} {one['name']}" for one in machines),
                *(f"{one['id']} {one['mac']} {one['dynamic']} {one['switch'] or ''}" for one in adapters),
                *(f"{one['id']} {one['name']}" for one in checkpoints),
            ]
        )
    )


def pulse_fingerprint(answer: Mapping[str, Any]) -> tuple[str, ...]:
    """Of what PULSE wrote."""
    return tuple(sorted([*answer["machines"], *answer["adapters"], *answer["checkpoints"]]))


def machine_states(answer: Mapping[str, Any]) -> tuple[MachineState, ...]:
    """What FACTS or MACHINE wrote of machines, in the host's order."""
    adapters = _by("owner", _of(answer, "adapters"))
    checkpoints = _by("machine", _of(answer, "checkpoints"))
    return tuple(_machine_state(one, adapters, checkpoints) for one in _of(answer, "machines"))


def notes_of(answer: Mapping[str, Any]) -> str:
    """Of the machine of which MACHINE wrote."""
    return "".join(str(one["notes"] or "") for one in _of(answer, "machines"))


def _of(answer: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    return [one for part in answer["parts"] for one in part[kind]]


def _by(member: str, answers: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for one in answers:
        found.setdefault(_id(one[member]), []).append(one)
    return found


_Told = Mapping[str, list[Mapping[str, Any]]]


def _machine_state(answer: Mapping[str, Any], adapters: _Told, checkpoints: _Told) -> MachineState:
    own = _id(answer["id"])
    connected = _adapters(adapters.get(own, []))
    kept = ({**one, "adapters": adapters.get(_id(one["id"]), [])} for one in checkpoints.get(own, []))
    return MachineState(
        marked(str(answer["notes"] or ""), own),
        power_of(answer["state"]),
        migrating=str(answer["status"]) == "MigratingVirtualMachine",
        id=own,
        name=answer["name"],
        adapters=connected,
        checkpoints=tuple(map(checkpoint_state, kept)),
        clustered=bool(answer["clustered"]),
        isolated=is_isolated(str(answer["notes"] or ""), [one.id for one in connected]),
    )


def checkpoint_state(answer: Mapping[str, Any]) -> CheckpointState:
    """What READ_CHECKPOINT wrote. One of a running machine is Saved, or Running where Hyper-V says so."""
    running = power_of(answer["state"]) != "Off"
    return CheckpointState(_id(answer["id"]), answer["name"], _adapters(answer["adapters"]), running)


def restored(answer: Mapping[str, Any]) -> list[Restored]:
    """What PULSE wrote of checkpoints that were applied, oldest first."""
    found = [Restored(int(one["record"]), _machine_among(one["values"])) for one in answer["restored"]]
    return sorted(found, key=lambda one: one.record)


def power_of(state: str) -> str:
    """Of a VMState. On its way to running a machine answers nothing yet, on its way to off or saved it still may; one
    that somebody paused has run and keeps its addresses. `Critical` at the end says that its storage is away."""
    state = state.removesuffix("Critical")
    if state in ("Saved", "FastSaved"):
        return "Saved"
    return "Off" if state in ("Off", "Starting", "Other") else "Running"


def _adapters(answers: Iterable[Mapping[str, Any]]) -> tuple[AdapterState, ...]:
    return tuple(
        AdapterState(
            _mac(one["mac"]),
            _instance(one["profile"]),
            bool(one["dynamic"]),
            one["id"],
            one["name"],
            one["switch"] or "",
        )
        for one in answers
    )


def _mac(text: str) -> int:
    return int(text, 16) if text else 0


def _instance(profile: str) -> InstanceId:
    own = (profile or "").strip("{} ").lower()
    return InstanceId("" if own == _NO_GUID else own)


def _id(text: str) -> str:
    return text.lower()


def _machine_among(values: Iterable[str]) -> str:
    return next((value.lower() for value in values if _GUID.fullmatch(value.lower())), "")
