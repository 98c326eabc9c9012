"""Resources as they are answered: envelope, canonical spelling, computed read-only members (MS-NCNBI 2.2.2, 3.1.5).

Called by every handler that answers a resource. Reads the state, changes nothing. Where the specification's schema,
text and examples disagree about a spelling or a type: docs/decisions/0010-answers-follow-the-text.md.

One call of msgspec makes the plain members; what is added, dropped or spelt differently stands here per struct.
"""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from weft.api import access, conflicts, gateway_answers
from weft.api.ledger import NOTHING, counts, wall_of
from weft.control.rule_hits import RuleHits
from weft.core import peerings
from weft.core.index import lower
from weft.core.provider_places import told_addresses, why_none
from weft.core.state import State
from weft.model import fabric, gateways, tenancy, workload
from weft.model.kinds import CHECKPOINTS, EXPORTS, SERVERS, Kind, owner_and_name, resource_ref
from weft.model.values import Now, ip_text

Members = dict[str, Any]

SUCCEEDED = "Succeeded"
"""Every answer's provisioningState: the work that is Weft's alone is done when it answers."""


Configuration = Callable[[str, Any], Members | None]
"""From a kind's name and a resource to its configurationState (2.2.4); None until a host is concerned."""


class Answers:
    """Makes answers at the state's present revision."""

    def __init__(
        self,
        state: State,
        configuration: Configuration,
        now: Callable[[], Now],
        clashes: conflicts.Clashes,
        hits: RuleHits,
    ) -> None:
        self._state = state
        self._hits = hits
        self._clashes = clashes
        self._configuration = configuration
        self._now = now
        self._dress: dict[type[Any], Callable[[Members, Any, str], None]] = {
            workload.NetworkInterfaceProperties: self._network_interface,
            workload.IpConfigurationProperties: self._ip_configuration,
            workload.VirtualMachineProperties: self._virtual_machine,
            workload.CaptureProperties: self._capture,
            fabric.ReservationProperties: self._reservation,
            fabric.MacPoolProperties: self._mac_pool,
            fabric.IpPoolProperties: self._ip_pool,
            fabric.LogicalSubnetProperties: self._logical_subnet,
            fabric.LogicalNetworkProperties: self._logical_network,
            fabric.ServerProperties: self._server,
            fabric.ServerInterfaceProperties: self._server_interface,
            tenancy.VirtualNetworkProperties: self._virtual_network,
            tenancy.VirtualSubnetProperties: self._virtual_subnet,
            gateways.PublicIpAddressProperties: self._public_address,
            gateways.GatewayPoolProperties: self._gateway_pool,
            gateways.GatewayProperties: self._gateway,
            gateways.VirtualGatewayProperties: self._virtual_gateway,
            gateways.NetworkConnectionProperties: self._connection,
            tenancy.AccessControlListProperties: self._access_control_list,
            tenancy.AclRuleProperties: self._acl_rule,
            tenancy.RouteTableProperties: self._route_table,
            tenancy.VirtualNetworkPeeringProperties: self._peering,
        }

    def of(self, kind: Kind, resource: Any, ref: str = "") -> Members:
        """The answer for a resource of a kind; `ref` is its resourceRef, needed for children only."""
        answer = self._answer(
            kind, resource, msgspec.to_builtins(resource), ref or resource_ref(kind, resource.resource_id)
        )
        if isinstance(resource.properties, gateways.NetworkConnectionProperties):
            self._carried(answer["properties"], ref)
        return answer

    def several(self, kind: Kind, resources: Iterable[Any], parent_ref: str = "") -> list[Members]:
        """The answers for several resources of a kind; children need their parent's resourceRef."""
        if not parent_ref:
            return [self.of(kind, resource) for resource in resources]
        return [self.of(kind, each, f"{parent_ref}/{kind.name}/{each.resource_id}") for each in resources]

    def _answer(self, kind: Kind, resource: Any, members: Members, ref: str) -> Members:
        plain: Members = members["properties"]
        properties: Members = {"provisioningState": SUCCEEDED}
        for name, value in plain.items():
            if value is not None:
                properties[name] = value
        for child in kind.children:
            name = child.name
            properties[name] = [
                self._answer(child, own, plain_child, f"{ref}/{name}/{own.resource_id}")
                for own, plain_child in zip(getattr(resource.properties, child.member), plain[name], strict=True)
            ]
        dress = self._dress.get(type(resource.properties))
        if dress is not None:
            dress(properties, resource, ref)
        answer: Members = {
            "resourceRef": ref,
            # what has an owner is known by its name below it
            "resourceId": owner_and_name(members["resourceId"])[1] if kind.owner else members["resourceId"],
            "instanceId": members["instanceId"],
            "etag": members["etag"],
        }
        if members["tags"] is not None:
            answer["tags"] = members["tags"]
        if members["resourceMetadata"] is not None:
            answer["resourceMetadata"] = members["resourceMetadata"]
        elif kind is SERVERS:
            # the one resource whose schema requires it
            answer["resourceMetadata"] = {}
        answer["properties"] = properties
        return answer

    def _add_configuration(self, properties: Members, kind: str, resource: Any) -> None:
        configuration = self._configuration(kind, resource)
        if configuration is not None:
            properties["configurationState"] = configuration

    # Workload

    def _network_interface(self, properties: Members, resource: Any, ref: str) -> None:
        properties["counters"] = []
        _drop_empty(properties, "strategy", "learnedIPAddresses")
        for learned in properties.get("learnedIPAddresses", ()):
            del learned["takenOver"]
        settings = properties.get("portSettings")
        if settings is not None and not settings["qosSettings"]:
            del settings["qosSettings"]
        machine = self._state.machine_of(resource.resource_id)
        if machine is not None and machine.properties.server is not None:
            properties["server"] = {"resourceRef": machine.properties.server.resource_ref}
            self._add_configuration(properties, "networkInterfaces", resource)

    def _ip_configuration(self, properties: Members, resource: Any, ref: str) -> None:
        properties["loadBalancerBackendAddressPools"] = []
        properties["loadBalancerInboundNatRules"] = []

    def _virtual_machine(self, properties: Members, resource: Any, ref: str) -> None:
        _drop_empty(properties, "inactive")
        del properties["madeAs"]
        for member in ("creation", "errand"):
            if member in properties:
                properties[member] = {name: value for name, value in properties[member].items() if value != ""}
        if not resource.properties.is_template:
            _drop_empty(properties, "networks")
        for kind in (CHECKPOINTS, EXPORTS):
            properties[kind.name] = [
                {
                    "resourceRef": resource_ref(kind, each.resource_id),
                    "resourceId": owner_and_name(each.resource_id)[1],
                    "created": each.properties.created,
                }
                for each in self._state.owned(kind.name, resource.resource_id)
            ]
        properties["conflicts"] = [conflicts.entry(each) for each in self._clashes(resource.resource_id)]
        self._add_configuration(properties, "virtualMachines", resource)

    def _capture(self, properties: Members, resource: Any, ref: str) -> None:
        _drop_empty(properties, "hypervisorId")
        for interface in properties["networkInterfaces"]:
            for address in interface["ipAddresses"]:
                _drop_empty(address, "accessControlList")

    # Fabric

    def _mac_pool(self, properties: Members, resource: Any, ref: str) -> None:
        _drop_empty(properties, "tenantId", "hostGroup")
        usage = self._counts(ref)
        properties["usage"] = {
            "numberOfMacAddresses": usage["capacity"],
            "numberofMacAddressesAllocated": usage["assigned"] + usage["retained"],
        }
        self._add_configuration(properties, "macPools", resource)

    def _counts(self, pool_ref: str) -> dict[str, int]:
        pool = self._state.space(pool_ref.lower())
        # it may have gone while a long list was made
        return counts(pool) if pool is not None else NOTHING

    def _ip_pool(self, properties: Members, resource: Any, ref: str) -> None:
        usage = self._counts(ref)
        properties["usage"] = {
            "numberOfIPAddresses": usage["capacity"],
            "numberofIPAddressesAllocated": usage["assigned"] + usage["retained"],
            "numberOfIPAddressesInTransition": usage["cooling"],
        }

    def _logical_subnet(self, properties: Members, resource: Any, ref: str) -> None:
        properties["vlanID"] = str(properties["vlanID"])
        properties["ipConfigurations"], properties["networkInterfaces"] = self._attached(ref)
        properties["GatewayPools"] = gateway_answers.refs(self._state.uses.of(ref, "gatewayPools"))
        properties["networkConnections"] = gateway_answers.refs(self._state.uses.of(ref, "virtualGateways"))

    def _logical_network(self, properties: Members, resource: Any, ref: str) -> None:
        properties["networkVirtualizationEnabled"] = _text(properties["networkVirtualizationEnabled"])
        properties["virtualNetworks"] = [
            {"resourceRef": f"/virtualNetworks/{network.resource_id}"}
            for key in self._state.index.networks.tenants_of.get(ref.lower(), ())
            if (network := self._state.get("virtualNetworks", key)) is not None
        ]

    def _reservation(self, properties: Members, resource: Any, ref: str) -> None:
        """`expires` is stored in the ledger's own time, which nobody else counts in."""
        _drop_empty(properties, "until", "expires", "requestId", "purpose")
        if "expires" in properties:
            properties["expires"] = wall_of(self._now(), properties["expires"])

    def _server(self, properties: Members, resource: Any, ref: str) -> None:
        _drop_empty(properties, "hostGroup", "twinPolicy", "blankCheckpoints", "providerAddressChange")
        _drop_empty(properties, "primaryProviderAddresses")
        properties["connections"] = [_without_nulls(connection) for connection in properties["connections"]]
        own = ref.lower()
        properties["virtualNetworkInterfaces"] = [
            {"resourceRef": interface.resource_ref}
            for machine in self._state.machines_on(resource.resource_id)
            if machine.properties.server is not None and machine.properties.server.resource_ref.lower() == own
            for interface in machine.properties.network_interfaces
        ]
        held = told_addresses(self._state, resource.resource_id)
        subnets = ((address, self._state.segment(purpose)) for _, address, purpose in held if purpose)
        found = {ip_text(address): {"resourceRef": segment.ref} for address, segment in subnets if segment is not None}
        if found:
            properties["virtualSubnetAddresses"] = [
                {"providerAddress": text, "virtualSubnet": subnet} for text, subnet in found.items()
            ]
        if why := why_none(self._state, resource):
            properties["noProviderAddress"] = why
        for gateway in self._state.uses.of(ref, "gateways"):
            properties["gateway"] = {"resourceRef": gateway}
        self._add_configuration(properties, "servers", resource)

    def _server_interface(self, properties: Members, resource: Any, ref: str) -> None:
        properties["isBMC"] = _text(properties["isBMC"])
        properties["ipConfiguration"] = [
            _without_nulls(each) | {"isDhcpEnabled": _text(each["isDhcpEnabled"])}
            for each in properties["ipConfiguration"]
        ]

    # Tenancy

    def _virtual_network(self, properties: Members, resource: Any, ref: str) -> None:
        del properties["routingDomainNumber"]
        _drop_empty(properties, "networkVirtualizationProtocol")
        self._add_configuration(properties, "virtualNetworks", resource)

    def _virtual_subnet(self, properties: Members, resource: Any, ref: str) -> None:
        properties["virtualSubnetId"] = str(properties["virtualSubnetId"])
        properties["ipConfigurations"], _ = self._attached(ref)

    # Gateways

    def _public_address(self, properties: Members, resource: Any, ref: str) -> None:
        gateway_answers.public_address(self._state, properties, ref)

    def _gateway_pool(self, properties: Members, resource: Any, ref: str) -> None:
        gateway_answers.gateway_pool(self._state, properties, ref)

    def _gateway(self, properties: Members, resource: Any, ref: str) -> None:
        gateway_answers.gateway(self._state, properties, resource, ref)
        self._add_configuration(properties, "gateways", resource)
        gateway_answers.lift(properties, "health")

    def _virtual_gateway(self, properties: Members, resource: Any, ref: str) -> None:
        self._add_configuration(properties, "virtualGateways", resource)
        gateway_answers.lift(properties, "activeGateway")
        gateway_answers.virtual_gateway(properties, resource)

    def _connection(self, properties: Members, resource: Any, ref: str) -> None:
        gateway_answers.connection(properties)

    def _carried(self, properties: Members, ref: str) -> None:
        """What its virtual gateway says of it, where it is asked for by itself."""
        gateway = self._state.find_ref(ref.rpartition("/networkConnections/")[0])
        if gateway is not None:
            configuration = self._configuration("virtualGateways", gateway) or {}
            gateway_answers.carried(properties, gateway, configuration.get("activeGateway", ""))

    def _peering(self, properties: Members, resource: Any, ref: str) -> None:
        """What it answers of the other network is what that has now, as long as there is one."""
        del properties["remoteInstanceId"], properties["matched"]
        network = self._state.find_ref(ref.rpartition("/virtualNetworkPeerings/")[0])
        remote = peerings.remote_of(self._state, resource)
        # the network may have gone while a long list was made
        properties["peeringState"] = (
            peerings.state_of(self._state, network, resource) if network is not None else peerings.DISCONNECTED
        )
        if remote is not None:
            properties["remoteAddressSpace"] = msgspec.to_builtins(remote.properties.address_space)

    def _access_control_list(self, properties: Members, resource: Any, ref: str) -> None:
        del properties["listNumber"]
        properties["ipConfigurations"] = self._filtered(ref)
        properties["subnets"] = _references(self._state.subnets_with_list(ref))
        access.add_defaults(properties, resource, self._hits)
        self._add_configuration(properties, "accessControlLists", resource)

    def _acl_rule(self, properties: Members, resource: Any, ref: str) -> None:
        properties["priority"] = str(properties["priority"])
        parent = self._state.find_ref(ref.rpartition("/aclRules/")[0])
        if parent is not None:
            access.add_hits(properties, parent, resource.properties.priority, self._hits)

    def _route_table(self, properties: Members, resource: Any, ref: str) -> None:
        properties["subnets"] = _references(self._state.subnets_with_table(ref))

    def _filtered(self, list_ref: str) -> list[Members]:
        """References to the ipConfigurations that name an accessControlList."""
        wanted = list_ref.lower()
        return [
            {"resourceRef": f"/networkInterfaces/{interface.resource_id}/ipConfigurations/{one.resource_id}"}
            for interface in self._state.interfaces_with_list(list_ref)
            for one in interface.properties.ip_configurations
            if lower(one.properties.access_control_list) == wanted
        ]

    def _attached(self, subnet_ref: str) -> tuple[list[Members], list[Members]]:
        """References to the ipConfigurations in a subnet, and to their interfaces."""
        wanted = subnet_ref.lower()
        configurations: list[Members] = []
        interfaces: list[Members] = []
        for interface in self._state.interfaces_in(subnet_ref):
            own = f"/networkInterfaces/{interface.resource_id}"
            interfaces.append({"resourceRef": own})
            for configuration in interface.properties.ip_configurations:
                subnet = configuration.properties.subnet
                if subnet is not None and subnet.resource_ref.lower() == wanted:
                    configurations.append({"resourceRef": f"{own}/ipConfigurations/{configuration.resource_id}"})
        return configurations, interfaces


def _references(subnets: Iterable[tuple[Any, Any]]) -> list[Members]:
    return [
        {"resourceRef": f"/virtualNetworks/{network.resource_id}/subnets/{subnet.resource_id}"}
        for network, subnet in subnets
    ]


def _drop_empty(members: Members, *names: str) -> None:
    for name in names:
        if not members.get(name, True):
            del members[name]


def _text(flag: bool) -> str:
    """A flag that the schemas have as text."""
    return "True" if flag else "False"


def _without_nulls(members: Members) -> Members:
    return {name: value for name, value in members.items() if value is not None}
