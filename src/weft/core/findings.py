"""What a host's hypervisor says of a machine that the record cannot follow, as conflicts with their remedies.

Called by control.behind with what a host tells now, so that a finding lasts exactly as long as what it is about. One
machine at a time; costs by its adapters and checkpoints.
"""

from collections.abc import Iterator

from weft.core.conflicts import ACTIVE_TWIN, DRIFT, FOREIGN, Conflict, foreign_beside
from weft.core.decide.bindings import INTERFACES, user_of
from weft.core.decide.host_checkpoints import checkpoints_of
from weft.core.decide.ip_configurations import Interface
from weft.core.decide.machines import Machine, machine_ref
from weft.core.decide.network_interfaces import captures_of
from weft.core.decide.places import domain_of, mac_of
from weft.core.guest_adapters import fitted, interfaces_of
from weft.core.index import last_id
from weft.core.naming import slug
from weft.core.notable import OFF, present, server_of_port
from weft.core.state import State
from weft.core.words import place_text
from weft.model.hypervisor import AdapterState, MachineState
from weft.model.kinds import CHECKPOINTS, owner_and_name, resource_ref
from weft.model.leases import MAC_SCOPE, Holder
from weft.model.values import mac_dashes

User = tuple[Holder, str]
"""Who uses an address now, and in words."""


def port_ref(server: str, told: MachineState, at: int) -> str:
    """How a stranger's adapter number `at` is named: by its machine, for a hypervisor may have no switch to see it
    on, and a machine that is off has no port."""
    name = f"{slug(told.name or told.id)[:40]}.{slug(told.id)[:8]}"
    kind = "ports" if told.power == "Running" else OFF
    return f"/servers/{server}/{kind}/{name}{f'.{at}' if at else ''}"


def users_of(state: State, mac: int, domain: str, server: str, own: frozenset[str] = frozenset()) -> Iterator[User]:
    """Who uses a MAC address now where it could meet one in `domain` (empty: anywhere) of `server`, but for `own`
    holders (lower case) and for what is seen on that server itself."""
    for holder in present(state.lease(MAC_SCOPE, mac)):
        if holder.ref.lower() in own or not state.meet(holder.domain, domain):
            continue
        if holder.kind == "port" and server_of_port(holder.ref) == server.lower():
            continue
        words, _ = user_of(state, holder)
        if words:
            yield holder, words


def machine_findings(state: State, server: str, told: MachineState) -> list[Conflict]:
    """Of a machine that its record has on this server; `told.machine` is its resource id."""
    machine: Machine | None = state.get("virtualMachines", told.machine)
    if machine is None or told.awaited:
        return []
    interfaces = interfaces_of(state, machine)
    pairs = fitted(interfaces, told.adapters)
    found: list[Conflict] = []
    for interface, adapter in pairs:
        found.extend(_adapter(state, server, (machine, told), (interface, adapter)))
    known = [adapter for _, adapter in pairs]
    found += [_unknown(machine, one) for one in told.adapters if one.mac and one not in known]
    found += _checkpoints(state, machine, interfaces, told)
    return found


def _adapter(
    state: State, server: str, who: tuple[Machine, MachineState], pair: tuple[Interface, AdapterState]
) -> Iterator[Conflict]:
    """Of one adapter of a running machine; one that is off gets what its interface has."""
    machine, told = who
    interface, adapter = pair
    if told.power != "Running":
        return
    name, ref = machine.resource_id, f"/networkInterfaces/{interface.resource_id}"
    mac, domain = mac_of(interface), domain_of(state, interface)
    place = place_text(state, domain) if domain else ""
    address, stop = mac_dashes(adapter.mac), f"weft vm stop {name}"
    own = frozenset({ref.lower()}) | captures_of(state, name)
    user = next(users_of(state, adapter.mac, domain, server, own), None) if adapter.mac else None
    if user is not None and (adapter.mac != mac or machine.properties.power_state != "Running"):
        remedy = (
            f"{name} was started or rolled back outside Weft on {server}, with an address that {user[1]} uses: stop "
            f"{name}, which gives it its own again."
        )
        yield Conflict(ACTIVE_TWIN, address, place, (user[0].ref, ref), remedy, stop)
    elif adapter.mac and adapter.mac != mac:
        others = [one.ref for one in present(state.lease(MAC_SCOPE, adapter.mac)) if one.ref.lower() not in own]
        has = f", which {others[0]} has" if others else ""
        remedy = (
            f"{name} runs on {server} with this address{has}; its interface has "
            f"{mac_dashes(mac) if mac is not None else 'none'}. Stop it, which gives it its own again."
        )
        yield Conflict(DRIFT, address, place, (*others, ref), remedy, stop)
    if adapter.dynamic:
        remedy = (
            f"The adapter of {name} on {server} is dynamic: its hypervisor may draw another address when it is next "
            "turned on. Stop it, which makes it static."
        )
        yield Conflict(DRIFT, address, place, (ref,), remedy, stop)


def _unknown(machine: Machine, adapter: AdapterState) -> Conflict:
    return Conflict(
        kind=DRIFT,
        address=mac_dashes(adapter.mac),
        l2_domain="",
        holders=(machine_ref(machine.resource_id),),
        remedy=f"{machine.resource_id} has an adapter {adapter.name or adapter.id} that is none of its "
        f"{len(machine.properties.network_interfaces)} network interfaces: give the machine an interface for it, or "
        "take the adapter from it.",
        command="",
    )


def _checkpoints(state: State, machine: Machine, interfaces: list[Interface], told: MachineState) -> Iterator[Conflict]:
    """Those that hold another address than the machine's owned one: a rollback would bring it back."""
    if not told.checkpoints:
        return
    known, _ = checkpoints_of(state, machine)
    for checkpoint in told.checkpoints:
        capture = known.get(checkpoint.id.lower())
        if capture is None:
            continue
        ref, name = resource_ref(CHECKPOINTS, capture.resource_id), owner_and_name(capture.resource_id)[1]
        for interface, adapter in fitted(interfaces, checkpoint.adapters):
            mac = mac_of(interface)
            if adapter.mac and mac is not None and adapter.mac != mac:
                owner = machine.resource_id
                # what is in a guest's memory cannot be rewritten
                ways = "restore it" if checkpoint.running else "rewrite the checkpoint, restore it"
                again = f"restore {owner} {name}" if checkpoint.running else f"rewrite-checkpoints {owner}"
                yield Conflict(
                    kind=DRIFT,
                    address=mac_dashes(adapter.mac),
                    l2_domain="",
                    holders=(f"/networkInterfaces/{interface.resource_id}", ref),
                    remedy=f"Checkpoint {name} of {owner} would bring this address back, and its interface has "
                    f"{mac_dashes(mac)} now: {ways}, or delete it.",
                    command=f"weft vm {again} --dry-run",
                )


def elsewhere_findings(state: State, server: str, told: MachineState) -> list[Conflict]:
    """Of a machine that runs here while its record has it on another server, which cannot be followed. It may have been
    followed since the host was heard."""
    machine: Machine | None = state.get("virtualMachines", told.machine)
    if machine is None or told.power != "Running" or last_id(machine.properties.server) == server.lower():
        return []
    name = machine.resource_id
    there = last_id(machine.properties.server) or "no server"
    return [
        Conflict(
            kind=ACTIVE_TWIN,
            address=mac_dashes(mac),
            l2_domain="",
            holders=(f"/networkInterfaces/{interface.resource_id}", port_ref(server, told, at)),
            remedy=f"{name} runs on {server}, and by its record on {there}, which may run it too: stop the one on "
            f"{server}, or, if {there} is cut off from power or from network and disks, say that it failed over.",
            command=f"weft vm failover {name} --to {server} --fenced",
        )
        for at, interface in enumerate(interfaces_of(state, machine))
        if (mac := mac_of(interface)) is not None
    ]


def stranger_findings(state: State, server: str, told: MachineState, reports_dynamic: bool) -> list[Conflict]:
    """Of a machine that is none of ours: what it runs with or took along from one of ours, and what it would do when it
    is next turned on. What it sends is in the ledger too (core.decide.seen), and so is a conflict there, which does
    not know whose port it is."""
    found: list[Conflict] = []
    called = told.name or told.id
    for at, adapter in enumerate(told.adapters):
        ref = port_ref(server, told, at)
        address = mac_dashes(adapter.mac)
        copied = _copied(state, adapter)
        if copied is not None:
            remedy = (
                f"{called} on {server} has the interface id of {copied}, as careless copies have: its port stays "
                "closed. Give its adapter an id of its own, or none (in a libvirt domain: its interfaceid)."
            )
            found.append(Conflict(FOREIGN, address, "", (copied, ref), remedy, ""))
        found += foreign_beside(state, adapter.mac, ref, f"{called} on {server}")
        holder = _holder(state, adapter) if told.power != "Running" else None
        if holder is not None:
            remedy = (
                f"{called} on {server} would start with the address of {holder.ref}: give it another before it does, "
                "or import it with addresses of its own."
            )
            place = place_text(state, holder.domain)
            command = f"weft vm import NAME --to {server} --existing {told.id} --addresses new --subnet NETWORK/SUBNET"
            found.append(Conflict(FOREIGN, address, place, (holder.ref, ref), remedy, command))
        if adapter.dynamic and reports_dynamic:
            remedy = (
                f"The hypervisor of {server} draws the addresses of {called} by itself, unknown to all others: import "
                "the machine, or let the server's adoption pin such machines."
            )
            found.append(Conflict(DRIFT, address, "", (ref,), remedy, ""))
    return found


def _copied(state: State, adapter: AdapterState) -> str | None:
    if not adapter.instance_id:
        return None
    key = state.index.instances.get(INTERFACES, {}).get(adapter.instance_id.lower())
    interface = state.get(INTERFACES, key) if key is not None else None
    return f"/networkInterfaces/{interface.resource_id}" if interface is not None else None


def _holder(state: State, adapter: AdapterState) -> Holder | None:
    lease = state.lease(MAC_SCOPE, adapter.mac) if adapter.mac else None
    return next((one for one in present(lease) if one.kind == "networkInterface"), None)
