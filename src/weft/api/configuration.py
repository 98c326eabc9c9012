"""configurationState of what hosts carry out, from what they apply and report (MS-NCNBI 2.2.4).

Called by weft.api.answers. Level, not edge: it says how things stand at the question. Codes are those of 3.1.5.11.1.2.
"""

from collections.abc import Callable, Iterator
from typing import Any

from weft.control.drivers import filters
from weft.control.gateway_health import DEAD, carrier_of, health_of
from weft.control.hosts import HostView
from weft.core.encryption import crosses_in_clear
from weft.core.gateway_places import network_id
from weft.core.index import last_id
from weft.core.ledger import warnings_for
from weft.core.policy_access import list_ref
from weft.core.state import State
from weft.model.values import wall_text
from weft.wire.messages import SERVER_WARNING, PortFact

Members = dict[str, Any]

SUCCESS = "Success"
IN_PROGRESS = "InProgress"
FAILURE = "Failure"
WARNING = "Warning"
UNINITIALIZED = "Uninitialized"

MAX_REMEMBERED = 100_000


class Configuration:
    """Makes configurationState; remembers when each was first seen as it is, for lastUpdatedTime."""

    def __init__(self, state: State, host: Callable[[str], HostView], wall: Callable[[], float]) -> None:
        self._state = state
        self._host = host
        self._wall = wall
        self._since: dict[str, tuple[Members, str]] = {}

    def of(self, kind: str, resource: Any) -> Members | None:
        """The configurationState of a resource; None while no host is concerned with it."""
        if kind == "macPools":
            found: Members | None = _of_pool(resource)
        elif kind == "servers":
            found = _details(*self._of_server(resource))
        elif kind == "networkInterfaces":
            found = self._of_interface(resource)
        elif kind == "virtualMachines":
            found = self._of_machine(resource)
        elif kind == "accessControlLists":
            found = self._of_list(resource)
        elif kind == "gateways":
            found = self._of_gateway(resource)
        elif kind == "virtualGateways":
            found = self._of_virtual_gateway(resource)
        else:
            found = self._of_network(resource)
        return None if found is None else self._stamped(kind, resource.instance_id, found)

    def _stamped(self, place: str, instance_id: str, members: Members) -> Members:
        """With its id and the time since when it is so; `place` is where it stands."""
        key = f"{place} {instance_id}"
        known = self._since.get(key)
        if known is None or known[0] != members:
            if len(self._since) >= MAX_REMEMBERED:
                self._since.clear()
            known = self._since[key] = (members, wall_text(self._wall()))
        return {"status": members["status"], "id": instance_id, "lastUpdatedTime": known[1], **members}

    def _of_server(self, server: Any) -> tuple[str, list[Members]]:
        view = self._host(server.resource_id)
        if not view.managed:
            return UNINITIALIZED, []
        status, details = _of_host(view)
        between = [_detail(each.code, each.message) for each in view.facts.problems if each.code == SERVER_WARNING]
        if not between or not view.connected:
            return status, details
        return (WARNING if status == SUCCESS else status), details + between

    def _of_gateway(self, gateway: Any) -> Members:
        """With its health, which is a member of its own where it is answered."""
        health = health_of(self._state, self._host, gateway.resource_id.lower())
        server = gateway.properties.server.resource_ref
        if health == DEAD:
            details = [_detail("HostUnreachable", f"{server} does not answer the hosts whose networks it serves.")]
            return _details(FAILURE, details) | {"health": health}
        view = self._host(server.rpartition("/")[2])
        status, details = _of_host(view) if view.managed else (UNINITIALIZED, [])
        return _details(status, details) | {"health": health}

    def _of_virtual_gateway(self, gateway: Any) -> Members:
        """With the gateway that carries it."""
        order = tuple(last_id(ref) for ref in gateway.properties.gateways)
        carrier = carrier_of(self._state, self._host, network_id(gateway), order)
        if carrier:
            return _details(SUCCESS, []) | {"activeGateway": carrier}
        living = [one for one in order if health_of(self._state, self._host, one) != DEAD]
        if not order:
            words = "no gateway: none of its GatewayPools has one."
        elif not living:
            words = f"no gateway: none of {', '.join(order)} answers the hosts of the network."
        else:
            words = f"no gateway: none of {', '.join(living)} carries it yet."
        return _details(FAILURE, [_detail("HostUnreachable", words)]) | {"activeGateway": ""}

    def _of_interface(self, interface: Any) -> Members | None:
        machine = self._state.machine_of(interface.resource_id)
        server = machine.properties.server if machine is not None else None
        if machine is None or server is None:
            return None
        view = self._host(server.resource_ref.rsplit("/", 1)[-1])
        if not view.managed:
            return None
        status, details = _of_host(view)
        own = interface.instance_id
        details = details + [
            _detail(each.code, each.message) for each in view.facts.problems if each.instance_id == own
        ]
        port = view.tables.ports.get(own)
        if view.connected and machine.properties.power_state == "Running":
            details += list(_of_port(port))
        details += list(_of_verb(view, machine))
        if details and not view.returning:
            return _details(FAILURE, details)
        return _details(status, details)

    def _of_machine(self, machine: Any) -> Members | None:
        server = machine.properties.server
        view = self._host(server.resource_ref.rsplit("/", 1)[-1]) if server is not None else None
        if view is None or not view.managed:
            return None
        status, details = _of_host(view)
        failed = list(_of_verb(view, machine))
        return _details(FAILURE if failed else status, details + failed)

    def _of_network(self, network: Any) -> Members | None:
        views = [view for name in self._state.servers_of(network.resource_id) if (view := self._host(name)).managed]
        if not views:
            return None
        host_errors: list[Members] = []
        interface_errors: list[Members] = []
        status = SUCCESS
        for view in views:
            own, details = _of_host(view)
            server = self._state.get("servers", view.server)
            if own == FAILURE and server is not None:
                host_errors.append(self._stamped("hostErrors", server.instance_id, _details(FAILURE, details)))
            elif own == IN_PROGRESS:
                status = IN_PROGRESS
            interface_errors += list(self._failing(view, network))
        clear = [_clear(ref) for ref in crosses_in_clear(self._state, network)]
        if host_errors or interface_errors:
            status = FAILURE
        elif clear and status == SUCCESS:
            status = WARNING
        said = {"detailedInfo": clear} if clear else {}
        return {"status": status, **said, "hostErrors": host_errors, "virtualNetworkInterfaceErrors": interface_errors}

    def _of_list(self, found: Any) -> Members | None:
        """Has every host with a port under an access list the list as it is now, and does it carry it out?"""
        servers = sorted(self._state.servers_with_list(list_ref(found)))
        views = [view for name in servers if (view := self._host(name)).managed]
        if not views:
            return None
        statuses, details = {SUCCESS}, []
        for view in views:
            own, said = _of_host(view)
            if not filters(view.hypervisor):
                own = FAILURE
                said = [*said, _detail("PolicyConfigurationFailure", "it carries out no access lists: all passes.")]
            statuses.add(own)
            details += [each | {"message": f"{view.server}: {each['message']}"} for each in said]
        return _details(next(one for one in (FAILURE, IN_PROGRESS, SUCCESS) if one in statuses), details)

    def _failing(self, view: HostView, network: Any) -> Iterator[Members]:
        """The network's interfaces on a host that the host says something bad of."""
        prefix = f"/virtualnetworks/{network.resource_id.lower()}/"
        for instance_id in sorted(view.tables.troubled | set(self._with_failed_verb(view))):
            kind, interface = self._state.by_instance(instance_id) or ("", None)
            if kind != "networkInterfaces" or interface is None:
                continue
            subnets = (each.properties.subnet for each in interface.properties.ip_configurations)
            if any(subnet is not None and subnet.resource_ref.lower().startswith(prefix) for subnet in subnets):
                found = self._of_interface(interface)
                if found is not None and found["status"] == FAILURE:
                    yield self._stamped("interfaceErrors", instance_id, found)

    def _with_failed_verb(self, view: HostView) -> Iterator[str]:
        for fact in view.tables.failures:
            machine = self._state.get("virtualMachines", fact.machine)
            for ref in machine.properties.network_interfaces if machine is not None else ():
                interface = self._state.find_ref(ref.resource_ref)
                if interface is not None:
                    yield interface.instance_id


def _of_pool(pool: Any) -> Members | None:
    """A pool that was accepted though its addresses may meet others'; None if nothing speaks against it."""
    details = [{"source": "Controller", "message": each, "code": "Unknown"} for each in warnings_for(pool)]
    return _details(WARNING, details) if details else None


def _of_host(view: HostView) -> tuple[str, list[Members]]:
    if view.returning:
        return IN_PROGRESS, [
            _detail("HostNotConnectedToController", f"The agent of {view.server} is not back yet; packets flow on.")
        ]
    if not view.connected:
        return FAILURE, [
            _detail("HostNotConnectedToController", f"The agent of {view.server} is not connected; packets flow on.")
        ]
    own = (each for each in view.facts.problems if not each.instance_id and each.code != SERVER_WARNING)
    details = [_detail(each.code, each.message) for each in own]
    if details:
        return FAILURE, details
    return (IN_PROGRESS if view.lag else SUCCESS), []


def _of_port(port: PortFact | None) -> Iterator[Members]:
    if port is not None and port.state == "closed":
        yield _detail("PortBlocked", port.reason or "The host keeps the port closed.")
    elif port is not None and port.state == "absent":
        yield _detail("PolicyConfigurationFailure", port.reason or "The machine's port is not on the host's switch.")


def _of_verb(view: HostView, machine: Any) -> Iterator[Members]:
    """What the hypervisor could not do with the machine, in its words, for as long as the host says so."""
    fact = view.tables.machines.get(machine.resource_id)
    if fact is not None and fact.failure:
        yield _detail("PolicyConfigurationFailure", fact.failure)


def _clear(ref: str) -> Members:
    words = f"Its tunnels cross {ref}, which is public, unencrypted: see encryptionEnabled of its subnets."
    return {"source": "Controller", "message": words, "code": "Unknown"}


def _detail(code: str, message: str) -> Members:
    return {"source": "Host", "message": message, "code": code}


def _details(status: str, details: list[Members]) -> Members:
    return {"status": status, "detailedInfo": details}
