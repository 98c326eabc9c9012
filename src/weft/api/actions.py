"""What machines can be asked for: name -> members of the body -> command. Pure; one table for the handler of single
actions (weft.api.machines), for batches and for the description.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from weft.api import bodies, convert
from weft.api.bodies import Named
from weft.api.faults import UnknownPath
from weft.core import commands, copy_commands
from weft.model.errors import Invalid, InvalidMacAddress, InvalidReference
from weft.model.kinds import NETWORK_INTERFACES, OWN_NAMES, SERVERS, VIRTUAL_MACHINES, is_own, owned_kind
from weft.model.values import check_resource_id, parse_mac
from weft.model.workload import HypervisorIdentity

NEVER, IF_RUNNING, IF_KEPT, ALWAYS = "never", "if running", "if its host keeps it", "always"


class Action(NamedTuple):
    """One action. `command` is given the machine's id and the body as it was read."""

    name: str
    """As in the URL; matched in any case."""
    body: type[bodies.Nothing]
    command: Callable[[str, Any], Any]
    says: str
    waits: str = NEVER
    """Whether a host is waited for (weft.control.machines); what never waits is one transaction."""
    on_collection: bool = False
    """POST virtualMachines/{action}: the machine is not there yet."""


class Asked(NamedTuple):
    """An action understood."""

    action: Action
    machine: str
    """As the client wrote it; of an import the new machine's id."""
    body: Any
    command: Any

    @property
    def made(self) -> str:
        """Id of the machine that the answer shows: of a clone and an import the new one."""
        return self.command.name if isinstance(self.command, copy_commands.Clone) else self.machine


def _migrate(machine: str, body: bodies.Migrate) -> commands.BeginMove:
    return commands.BeginMove(machine, _server(body.server), body.force)


def _failover(machine: str, body: bodies.Failover) -> commands.Failover:
    return commands.Failover(machine, _server(body.server))


def _checkpoint(machine: str, body: bodies.Capture) -> copy_commands.TakeCheckpoint:
    return copy_commands.TakeCheckpoint(machine, _name_of_capture(body.resource_id))


def _export(machine: str, body: bodies.Export) -> copy_commands.ExportMachine:
    return copy_commands.ExportMachine(machine, _name_of_capture(body.resource_id), body.path)


def _rewrite(machine: str, body: bodies.RewriteCheckpoints) -> commands.RewriteCheckpoints:
    return commands.RewriteCheckpoints(machine, check_resource_id(body.checkpoint) if body.checkpoint else "")


def _clone(machine: str, body: bodies.Clone) -> copy_commands.Clone:
    name = check_resource_id(body.resource_id)
    return copy_commands.Clone(machine, name, body.addresses, _server(body.server), body.is_template)


def _restore(machine: str, body: bodies.Restore) -> copy_commands.Restore:
    return copy_commands.Restore(machine, check_resource_id(body.checkpoint), body.addresses, body.if_taken)


def _renew(machine: str, body: bodies.RenewMac) -> commands.RenewMac:
    if body.mac_address:
        _check_mac(body.mac_address, "macAddress")
    interface = id_of(body.network_interface, NETWORK_INTERFACES.name, "networkInterface")
    return commands.RenewMac(machine, interface, body.mac_address, body.force)


def _import(machine: str, body: bodies.Import) -> copy_commands.ImportMachine:
    known = body.hypervisor
    return copy_commands.ImportMachine(
        name=check_resource_id(body.resource_id),
        server=_server(body.server),
        interfaces=_interfaces(body.network_interfaces, "networkInterfaces"),
        addresses=body.addresses,
        power=body.power_state,
        checkpoints=tuple(
            copy_commands.ImportedCheckpoint(
                _name_of_capture(each.resource_id),
                _interfaces(each.network_interfaces, f"checkpoints[{at}].networkInterfaces"),
            )
            for at, each in enumerate(body.checkpoints)
        ),
        adopt=body.adopt,
        hypervisor=HypervisorIdentity(type=known.type, id=known.id) if known is not None else None,
    )


def _interfaces(asked: Sequence[bodies.ImportedInterface], path: str) -> tuple[copy_commands.ImportedInterface, ...]:
    for at, each in enumerate(asked):
        if each.mac_address:
            _check_mac(each.mac_address, f"{path}[{at}].macAddress")
    return tuple(
        copy_commands.ImportedInterface(
            each.mac_address, each.ip_addresses, each.subnet.resource_ref if each.subnet is not None else ""
        )
        for each in asked
    )


def _name_of_capture(text: str) -> str:
    """Raises InvalidResourceName, Invalid: it is kept for what the controller makes itself."""
    if is_own(check_resource_id(text)):
        raise Invalid(
            f"Names that begin with '{OWN_NAMES}' are the controller's own: choose another than '{text}'.",
            code="InvalidResourceName",
            target="resourceId",
        )
    return text


def _check_mac(text: str, target: str) -> None:
    try:
        parse_mac(text)
    except InvalidMacAddress as fault:
        fault.target = target
        raise


def _server(named: Named | None) -> str:
    return "" if named is None else id_of(named, SERVERS.name, "server")


def id_of(named: Named, collection: str, target: str, prefix: str = "") -> str:
    """The id in a reference to one of a collection; `prefix` as its references begin. Raises InvalidReference."""
    parts = [part for part in named.resource_ref.split("/") if part]
    if prefix and len(parts) == 3 and parts[0].lower() == prefix:
        parts = parts[1:]
    if len(parts) == 1:
        return parts[0]
    if len(parts) != 2 or parts[0].lower() != collection.lower():
        raise InvalidReference(
            f"{target}: '{named.resource_ref}' is no reference to one of {collection}. Write /{collection}/ID.",
            target=target,
        )
    return parts[1]


_TABLE = (
    Action("start", bodies.Nothing, lambda m, b: commands.SetPower(m, "Running"), "Run it", ALWAYS),
    Action("stop", bodies.Nothing, lambda m, b: commands.SetPower(m, "Off"), "Switch it off", ALWAYS),
    Action("save", bodies.Nothing, lambda m, b: commands.SetPower(m, "Saved"), "Freeze it to disk", ALWAYS),
    Action("migrate", bodies.Migrate, _migrate, "Move it to another server, make before break", ALWAYS),
    Action("failover", bodies.Failover, _failover, "Its host is dead: bind it to another, as it was", ALWAYS),
    Action("restore", bodies.Restore, _restore, "Back to a checkpoint, over all its interfaces", IF_RUNNING),
    Action("renewMac", bodies.RenewMac, _renew, "Give an interface of it another MAC address", IF_RUNNING),
    Action("clone", bodies.Clone, _clone, "Make a new machine, or a template, from it", IF_KEPT),
    Action("checkpoint", bodies.Capture, _checkpoint, "Capture it, and the addresses of its interfaces", IF_KEPT),
    Action("export", bodies.Export, _export, "Note that a copy of it outside holds its addresses", IF_KEPT),
    Action(
        "rewriteCheckpoints",
        bodies.RewriteCheckpoints,
        _rewrite,
        "Give its checkpoints the MAC addresses that its interfaces own",
        ALWAYS,
    ),
    Action("import", bodies.Import, _import, "Take in a machine made elsewhere", on_collection=True),
)

ACTIONS: dict[str, Action] = {action.name.lower(): action for action in _TABLE}
"""By their names in lower case."""

NAMES = tuple(action.name for action in _TABLE)


def understand(machine: str, verb: str, body: bytes) -> Asked:
    """Read an action on a machine; no machine for one on the collection. Raises Invalid and its kin, UnknownPath."""
    action = action_of(machine, verb)
    asked: Any = convert.read_exactly(action.body, body)
    command = action.command(machine, asked)
    return Asked(action, machine or asked.resource_id, asked, command)


def action_of(machine: str, verb: str) -> Action:
    """The action of this name, on a machine or on the collection. Raises UnknownPath, saying which there are."""
    action = ACTIONS.get(verb.lower())
    if action is None or action.on_collection is not (not machine):
        served = ", ".join(each.name for each in _TABLE if each.on_collection is (not machine))
        whose = f"The machine '{machine}' has" if machine else "The collection has"
        raise UnknownPath(f"{whose} no action '{verb}'. Served: {served}.")
    return action


def place_of_action(method: str, segments: Sequence[str]) -> tuple[str, str] | None:
    """The machine and the action that a path below virtualMachines asks for; None if it is a resource's.

    A machine may be called `import`: only a POST means the action.
    """
    if len(segments) == 2 and method == "POST":
        action = ACTIONS.get(segments[1].lower())
        return ("", segments[1]) if action is not None and action.on_collection else None
    if len(segments) == 3 and owned_kind(VIRTUAL_MACHINES, segments[2]) is None:
        return segments[1], segments[2]
    return None


def check_batched(action: Action) -> None:
    """Raise Invalid for an action that cannot stand in a batch."""
    if action.waits == ALWAYS:
        served = ", ".join(each.name for each in _TABLE if each.waits != ALWAYS)
        raise Invalid(
            f"{action.name} waits for a host and cannot be part of a batch; {served} can. Ask for it by itself.",
            code="OperationNotSupported",
        )
