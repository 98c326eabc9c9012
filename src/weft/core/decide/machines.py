"""What every command on one machine begins and ends with: find it, refuse what it cannot have now, store it again.

Called by the families of core.decide that deal with machines.
"""

import msgspec

from weft.core.commands import Decision
from weft.core.decide.draft import Draft
from weft.core.decide.envelope import new_etag
from weft.core.state import State
from weft.model.errors import Conflict, NotFound
from weft.model.kinds import VIRTUAL_MACHINES, Kind, resource_ref
from weft.model.resources import Ref, Resource
from weft.model.values import check_resource_id
from weft.model.workload import VirtualMachineProperties

Machine = Resource[VirtualMachineProperties]


def machine_ref(name: str) -> str:
    return resource_ref(VIRTUAL_MACHINES, name)


def machine_named(state: State, name: str) -> Machine:
    """Raises NotFound."""
    found: Machine | None = state.get(VIRTUAL_MACHINES.name, name)
    if found is None:
        raise NotFound(f"There is no virtual machine '{name}'.", target=machine_ref(name))
    return found


def settled_machine(state: State, name: str) -> Machine:
    """A machine that is no template, does not move, is not being made, and whose host is at no errand. Raises NotFound,
    Conflict."""
    machine = machine_named(state, name)
    if machine.properties.is_template:
        raise is_template(machine)
    if machine.properties.move is not None:
        raise moving(machine)
    if machine.properties.creation is not None:
        raise being_made(machine)
    if is_on_errand(machine):
        raise on_errand(machine)
    return machine


def put_machine(draft: Draft, old: Machine, **properties: object) -> Decision:
    """Store a machine with some properties changed, and answer it."""
    after = msgspec.structs.replace(
        old,
        etag=new_etag(draft.new_id),
        properties=msgspec.structs.replace(old.properties, **properties),
    )
    draft.put(VIRTUAL_MACHINES.name, old.resource_id.lower(), old, after)
    return Decision(changes=draft.changes(), outcome="done", resource=after)


def unchanged(machine: Machine) -> Decision:
    return Decision(changes=(), outcome="unchanged", resource=machine)


def note_place(draft: Draft, machine: str, server: Ref | None) -> None:
    """Let the history of what changes from now on name this machine and host."""
    draft.machine = machine
    draft.host = server.resource_ref.rpartition("/")[2] if server is not None else ""


def check_free_name(draft: Draft, kind: Kind, resource_id: str, name: str) -> None:
    """Refuse a name that is no resource id, or that another has. Raises InvalidResourceName, Conflict."""
    check_resource_id(name)
    found = draft.get(kind.name, resource_id)
    if found is not None:
        ref = resource_ref(kind, found.resource_id)
        raise Conflict(f"{ref} exists: choose another name, or delete it first.", code="AlreadyExists", target=ref)


def moving(machine: Machine) -> Conflict:
    """The refusal of whatever cannot be done while a machine moves."""
    move = machine.properties.move
    assert move is not None
    return Conflict(
        f"Virtual machine {machine.resource_id} is moving from {move.source} to {move.destination} ({move.phase}): "
        "wait until that is done.",
        code="AnotherOperationInProgress",
        target=machine_ref(machine.resource_id),
    )


def being_made(machine: Machine) -> Conflict:
    """The refusal of whatever cannot be done while a machine is made or removed."""
    creation = machine.properties.creation
    assert creation is not None
    words = {
        "undoing": f"being taken away again, as it could not be made ({creation.failure})",
        "removing": "being deleted",
    }
    server = machine.properties.server
    place = f" on {server.resource_ref.rpartition('/')[2]}" if server is not None else ""
    since = f" since {creation.since}" if creation.since else ""
    return Conflict(
        f"Virtual machine {machine.resource_id} is {words.get(creation.phase, 'being made')}{place}{since} "
        f"({creation.phase}): wait until that is done.",
        code="AnotherOperationInProgress",
        target=machine_ref(machine.resource_id),
    )


def is_on_errand(machine: Machine) -> bool:
    """Is its host asked to do something to it once?"""
    errand = machine.properties.errand
    return errand is not None and errand.phase == "asked"


def on_errand(machine: Machine) -> Conflict:
    """The refusal of whatever cannot be done while its host does something to a machine."""
    errand = machine.properties.errand
    assert errand is not None
    what = f"{errand.kind} {errand.name}".rstrip()
    return Conflict(
        f"The host of virtual machine {machine.resource_id} is at it ({what}): wait until that is done.",
        code="AnotherOperationInProgress",
        target=machine_ref(machine.resource_id),
    )


def is_template(machine: Machine) -> Conflict:
    """The refusal of what only a machine can do."""
    return Conflict(
        f"{machine_ref(machine.resource_id)} is a template, which holds no address and never runs: clone a machine "
        "from it.",
        code="MachineIsTemplate",
        target=machine_ref(machine.resource_id),
    )


def is_running(machine: Machine, what: str, target: str | None = None) -> Conflict:
    return Conflict(
        f"Virtual machine {machine.resource_id} is running: {what}",
        code="MachineIsRunning",
        target=target or machine_ref(machine.resource_id),
    )
