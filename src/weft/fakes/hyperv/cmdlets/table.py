"""All cmdlets of one fake host: those that weft.core.hyperv.cmdlets knows, and no other.

A cmdlet or parameter of that table that the fake does not have is NotUnderstood; one that is not in it is refused as
PowerShell would refuse it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from weft.core.hyperv.cmdlets import CMDLETS
from weft.core.hyperv.cmdlets import Cmdlet as Page
from weft.fakes.hyperv.cmdlets.adapters import ADAPTERS
from weft.fakes.hyperv.cmdlets.checkpoints import CHECKPOINTS
from weft.fakes.hyperv.cmdlets.clusters import CLUSTERS
from weft.fakes.hyperv.cmdlets.disks import DISKS
from weft.fakes.hyperv.cmdlets.events import EVENTS
from weft.fakes.hyperv.cmdlets.features import FEATURES
from weft.fakes.hyperv.cmdlets.file_system import FILES
from weft.fakes.hyperv.cmdlets.machines import MACHINES
from weft.fakes.hyperv.cmdlets.moves import MOVES
from weft.fakes.hyperv.cmdlets.network_virtualization import NETWORK_VIRTUALIZATION
from weft.fakes.hyperv.cmdlets.power import POWER
from weft.fakes.hyperv.cmdlets.settings import SETTINGS
from weft.fakes.hyperv.cmdlets.spec import PIPED, Spec
from weft.fakes.hyperv.host import FakeHost, HyperVError
from weft.fakes.hyperv.powershell.builtins import BUILTINS
from weft.fakes.hyperv.powershell.errors import NotUnderstood, PowerShellError, SessionLost
from weft.fakes.hyperv.powershell.session import Call, Cmdlet
from weft.fakes.hyperv.powershell.values import Record

SPECS: tuple[Spec, ...] = (
    *MACHINES,
    *POWER,
    *ADAPTERS,
    *FEATURES,
    *CHECKPOINTS,
    *DISKS,
    *MOVES,
    *SETTINGS,
    *NETWORK_VIRTUALIZATION,
    *CLUSTERS,
    *FILES,
    *EVENTS,
)


def cmdlets_of(host: FakeHost) -> dict[str, Cmdlet]:
    """By name, acting on this host."""
    made = {spec.name: _cmdlet(host, spec) for spec in SPECS if spec.name.lower() in CMDLETS}
    for page in CMDLETS.values():
        if page.name not in made and page.name not in BUILTINS:
            made[page.name] = _unknown(page)
    return made


def _cmdlet(host: FakeHost, spec: Spec) -> Cmdlet:
    page = CMDLETS[spec.name.lower()]
    words = spec.parameters.split()
    names = tuple(word.strip("@<!") for word in words)
    return Cmdlet(
        spec.name,
        names,
        switches=tuple(page.parameters[each] for each in page.switches),
        positional=tuple(word.strip("@<!") for word in words if "@" in word),
        piped=tuple(word.strip("@<!") for word in words if "<" in word),
        takes=lambda parameter, value: _takes(spec, parameter, value),
        mandatory=tuple(word.strip("@<!") for word in words if "!" in word),
        documented=tuple(each for each in page.parameters.values() if each not in names),
        run=lambda call: _run(host, spec, call),
    )


def _takes(spec: Spec, parameter: str, value: Any) -> bool:
    kind = PIPED.get(parameter)
    if kind is not None:
        return isinstance(value, Record) and value.kind == kind
    if parameter == "InputObject":
        return isinstance(value, Record) and value.kind == spec.name.partition("-")[2].replace(
            "ClusterVirtualMachineRole", "ClusterGroup"
        )
    return isinstance(value, str)


def _run(host: FakeHost, spec: Spec, call: Call) -> Iterator[Any]:
    trouble = host.trouble
    host.calls[spec.name] += 1
    hand = trouble.before.pop(spec.name, None)
    if hand is not None:
        hand()
    _check_answered(spec, call)
    if spec.name in trouble.failing:
        raise PowerShellError(trouble.failing[spec.name], id="OperationFailed")
    if spec.name in trouble.ineffective:
        return
    try:
        yield from spec.run(host, call)
    except HyperVError as error:
        raise PowerShellError(error.message, id=error.id, category=error.category) from None
    if spec.name in trouble.lost:
        trouble.lost.remove(spec.name)
        raise SessionLost
    if spec.name in trouble.half_way:
        raise PowerShellError(trouble.half_way[spec.name], id="OperationFailed")


def _check_answered(spec: Spec, call: Call) -> None:
    """What asks before it acts cannot: the session is nobody's console."""
    session = call.session
    calm = session.has_variable("ConfirmPreference") and str(session.variable("ConfirmPreference")).lower() == "none"
    if spec.asks and not (calm or call.get("Force", False) or call.has("Confirm")):
        raise PowerShellError(
            "Windows PowerShell is in NonInteractive mode. Read and Prompt functionality is not available.",
            id="InvalidOperation",
            category="InvalidOperation",
            stops=True,
        )


def _unknown(page: Page) -> Cmdlet:
    def run(call: Call, source: Iterator[Any] | None) -> Iterator[Any]:
        raise NotUnderstood(f"the fake host has no {page.name} yet")

    switches = tuple(page.parameters[each] for each in page.switches)
    return Cmdlet(page.name, tuple(page.parameters.values()), switches, run_all=run, nulls=True)


def missing() -> Mapping[str, Page]:
    """Cmdlets of the table that the fake does not have."""
    known = {spec.name.lower() for spec in SPECS} | {name.lower() for name in BUILTINS}
    return {name: page for name, page in CMDLETS.items() if name not in known}
