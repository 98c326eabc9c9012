"""A state built by hand, without the rules of decide: every change is possible here, in any grouping.

Used by the tests of policy, trace and the packet oracle. Each method returns the changes it made; they are applied.
"""

import ipaddress
import uuid

from msgspec.structs import replace

from weft.core.changes import Change, LeaseChange, ResourceChange
from weft.core.rewriting import purpose_of
from weft.core.state import State
from weft.model import fabric, tenancy, workload
from weft.model.leases import ASSIGNED, MAC_SCOPE, RDID_SCOPE, VSID_SCOPE, Holder, Lease, ip_scope
from weft.model.resources import Ref, Resource

PROVIDER = "/logicalNetworks/hnvpa"


def instance(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name.lower()))


def resource(kind, name, properties):
    return Resource(resource_id=name, instance_id=instance(f"{kind}/{name}"), etag='W/"1"', properties=properties)


class World:
    """`state` is at what the methods made so far; `changes` collects until `taken`."""

    def __init__(self):
        self.state = State()
        self.changes: list[Change] = []

    def taken(self) -> list[Change]:
        taken, self.changes = self.changes, []
        return taken

    def _turn(self, change):
        self.state.apply(change)
        self.changes.append(change)

    def put(self, kind, name, properties):
        before = self.state.get(kind, name)
        self._turn(ResourceChange(kind, name.lower(), before, resource(kind, name, properties)))

    def delete(self, kind, name):
        before = self.state.get(kind, name)
        if before is not None:
            self._turn(ResourceChange(kind, name.lower(), before, None))

    def lease(self, scope, address, holder, wanted=True, beside=()):
        before = self.state.lease(scope, address)
        holders = (*beside, holder) if wanted else beside
        after = Lease(scope, address, ASSIGNED, holders) if holders else None
        if before != after:
            self._turn(LeaseChange(scope, address, before, after, "assigned" if wanted else "released"))

    def protocol(self, name):
        self.put(
            "virtualNetworkManager",
            "configuration",
            fabric.VirtualNetworkManagerProperties(network_virtualization_protocol=name),
        )

    def fabric(self, **prefixes):
        """The provider network: pa1="192.168.1.0/24" ... Each subnet's gateway is its first address."""
        subnets = tuple(
            Resource(
                resource_id=name,
                instance_id=instance(f"pa/{name}"),
                properties=fabric.LogicalSubnetProperties(
                    address_prefix=prefix, default_gateways=(str(ipaddress.ip_network(prefix)[1]),)
                ),
            )
            for name, prefix in prefixes.items()
        )
        self.put(
            "logicalNetworks",
            "hnvpa",
            fabric.LogicalNetworkProperties(network_virtualization_enabled=True, subnets=subnets),
        )

    def ways(self, subnet, *routes):
        """Routes of a provider subnet: ("10.9.0.0/16", "192.168.1.254") ..."""
        made = tuple(
            Resource(
                resource_id=destination.replace("/", "-"),
                instance_id=instance(f"way/{subnet}/{destination}"),
                properties=fabric.LogicalRouteProperties(destination=destination, next_hop=hop),
            )
            for destination, hop in routes
        )
        old = self.state.get("logicalNetworks", "hnvpa").properties
        subnets = tuple(
            replace(one, properties=replace(one.properties, routes=made)) if one.resource_id == subnet else one
            for one in old.subnets
        )
        self.put("logicalNetworks", "hnvpa", replace(old, subnets=subnets))

    def two_provider_subnets(self):
        self.fabric(pa1="192.168.1.0/24", pa2="192.168.2.0/24")

    def vlans(self, name, **subnets):
        """A logical network without virtualization: v20=("10.1.1.0/24", 20) ... Each subnet's router is its first
        address; one without a prefix has none."""
        made = tuple(
            Resource(
                resource_id=subnet,
                instance_id=instance(f"{name}/{subnet}"),
                properties=fabric.LogicalSubnetProperties(
                    address_prefix=prefix,
                    vlan_id=vlan,
                    default_gateways=(str(ipaddress.ip_network(prefix)[1]),) if prefix else (),
                ),
            )
            for subnet, (prefix, vlan) in subnets.items()
        )
        self.put("logicalNetworks", name, fabric.LogicalNetworkProperties(subnets=made))

    def server(self, name, *addresses):
        old = self.state.get("servers", name)
        for text in old.properties.provider_addresses if old is not None else ():
            if text not in addresses:
                self._provider_lease(name, text, wanted=False)
        for text in addresses:
            self._provider_lease(name, text, wanted=True)
        self.put("servers", name, fabric.ServerProperties(provider_addresses=addresses))

    def _provider_lease(self, server, text, wanted):
        address = ipaddress.ip_address(text)
        self.lease(ip_scope(PROVIDER, address.version), int(address), Holder("server", f"/servers/{server}"), wanted)

    def subnet_address(self, server, subnet, text, wanted=True):
        """A virtual subnet has a provider address of its own on a server, or has it no more."""
        address = ipaddress.ip_address(text)
        holder = Holder("server", f"/servers/{server}", subnet.lower(), True)
        self.lease(ip_scope(PROVIDER, address.version), int(address), holder, wanted)

    def pair(self, network, four, six):
        """Two subnets of a network with one VSID are a dual-stack pair."""
        old = self.state.get("virtualNetworks", network).properties
        ref = Ref(f"/virtualNetworks/{network}/subnets/{four}")
        subnets = tuple(
            replace(one, properties=replace(one.properties, dual_stack_subnet=ref)) if one.resource_id == six else one
            for one in old.subnets
        )
        self.put("virtualNetworks", network, replace(old, subnets=subnets))

    def policy(self, server, policy):
        """How a server uses its addresses."""
        old = self.state.get("servers", server).properties
        self.put("servers", server, replace(old, provider_address_policy=policy))

    def readdressed(self, server, change):
        """Its addresses are changing so, or not at all."""
        old = self.state.get("servers", server).properties
        self.put("servers", server, replace(old, provider_address_change=change))

    def space(self, network, *prefixes):
        """The network's address space."""
        old = self.state.get("virtualNetworks", network).properties
        self.put("virtualNetworks", network, replace(old, address_space=tenancy.AddressSpace(prefixes)))

    def peer(self, network, *others, **switches):
        """The network has peerings to these, with these switches each, and to no others."""
        old = self.state.get("virtualNetworks", network).properties
        made = tuple(
            Resource(
                resource_id=f"to-{other}",
                properties=tenancy.VirtualNetworkPeeringProperties(
                    remote_virtual_network=Ref(f"/virtualNetworks/{other}"),
                    remote_instance_id=instance(f"virtualNetworks/{other}"),
                    **switches,
                ),
            )
            for other in others
        )
        self.put("virtualNetworks", network, replace(old, virtual_network_peerings=made))

    def table(self, name, **routes):
        """`routes`: (prefix, kind, next hop) each, by id."""
        made = tuple(
            Resource(
                resource_id=route,
                instance_id=instance(f"{name}/{route}"),
                properties=tenancy.RouteProperties(
                    address_prefix=prefix, next_hop_type=kind, next_hop_ip_address=hop or None
                ),
            )
            for route, (prefix, kind, hop) in routes.items()
        )
        self.put("routeTables", name, tenancy.RouteTableProperties(routes=made))

    def network(self, name, rdid, subnets, tables=None):
        """`subnets`: {id: (prefix, VSID)}; `tables`: {subnet id: table}. Its peerings stay."""
        made = tuple(
            Resource(
                resource_id=subnet,
                instance_id=instance(f"{name}/{subnet}"),
                properties=tenancy.VirtualSubnetProperties(
                    address_prefix=prefix,
                    virtual_subnet_id=vsid,
                    route_table=Ref(f"/routeTables/{tables[subnet]}") if subnet in (tables or {}) else None,
                ),
            )
            for subnet, (prefix, vsid) in subnets.items()
        )
        ref = f"/virtualNetworks/{name}"
        old = self.state.get("virtualNetworks", name)
        self.lease(RDID_SCOPE, rdid, Holder("virtualNetwork", ref))
        for subnet, (_, vsid) in subnets.items():
            self.lease(VSID_SCOPE, vsid, Holder("virtualSubnet", f"{ref}/subnets/{subnet}"))
        self.put(
            "virtualNetworks",
            name,
            tenancy.VirtualNetworkProperties(
                logical_network=Ref(PROVIDER),
                subnets=made,
                routing_domain_number=rdid,
                virtual_network_peerings=old.properties.virtual_network_peerings if old is not None else (),
            ),
        )

    def encapsulate(self, network, protocol):
        """The network's own protocol: VXLAN, NVGRE, Rewrite, or empty for that of all."""
        old = self.state.get("virtualNetworks", network).properties
        self.put("virtualNetworks", network, replace(old, network_virtualization_protocol=protocol))

    def stand(self, server, interface, text, wanted=True, place=0):
        """This provider address stands on the server for the first address of an interface, in a network that
        rewrites; or for that at another place."""
        address, purpose = ipaddress.ip_address(text), purpose_of(interface, f"ip{place}")
        holder = Holder("server", f"/servers/{server}", purpose)
        self.lease(ip_scope(PROVIDER, address.version), int(address), holder, wanted)

    def settings(self, name, **settings):
        """The portSettings of an interface."""
        old = self.state.get("networkInterfaces", name).properties
        self.put("networkInterfaces", name, replace(old, port_settings=workload.PortSettings(**settings)))

    def interface(self, name, mac, *places):
        """`places`: (subnet ref, address) each; without an address it is Unmanaged."""
        self._interface_leases(name, wanted=False, keep=places)
        self.put(
            "networkInterfaces",
            name,
            workload.NetworkInterfaceProperties(
                private_mac_address=f"{mac:012X}",
                ip_configurations=tuple(
                    Resource(
                        resource_id=f"ip{number}",
                        properties=workload.IpConfigurationProperties(
                            private_ip_address=text,
                            private_ip_allocation_method="" if text else "Unmanaged",
                            subnet=Ref(subnet),
                        ),
                    )
                    for number, (subnet, text) in enumerate(places)
                ),
            ),
        )
        self._interface_leases(name, wanted=True)

    def encrypt(self, network, *subnets):
        """encryptionEnabled on these subnets, and on no others."""
        old = self.state.get("virtualNetworks", network).properties
        made = tuple(
            replace(one, properties=replace(one.properties, encryption_enabled=one.resource_id in subnets))
            for one in old.subnets
        )
        self.put("virtualNetworks", network, replace(old, subnets=made))

    def on_provider_network(self, server, told):
        """What its agent says of it: fabric.ServerProviderNetwork, or None."""
        old = self.state.get("servers", server).properties
        self.put("servers", server, replace(old, provider_network=told))

    def guests(self, network, subnet, **settings):
        """Whether guests of a subnet may bring addresses: tenancy.GuestSpecifiedAddresses."""
        old = self.state.get("virtualNetworks", network).properties
        own = tenancy.GuestSpecifiedAddresses(**settings)
        subnets = tuple(
            replace(one, properties=replace(one.properties, guest_specified_addresses=own))
            if one.resource_id == subnet
            else one
            for one in old.subnets
        )
        self.put("virtualNetworks", network, replace(old, subnets=subnets))

    def bring(self, name, subnet, address):
        """The guest of an interface brings an address, whoever has brought it before."""
        ip = ipaddress.ip_address(address)
        scope = ip_scope(subnet.partition("/subnets/")[0], ip.version)
        held = self.state.lease(scope, int(ip))
        for holder in held.holders if held is not None else ():
            self.forget(holder.ref.rpartition("/")[2], address)
        self.lease(scope, int(ip), Holder("networkInterface", f"/networkInterfaces/{name}"))
        old = self.state.get("networkInterfaces", name).properties
        learnt = workload.LearnedAddress(ip_address=address, subnet=Ref(subnet))
        self.put("networkInterfaces", name, replace(old, learned_ip_addresses=(*old.learned_ip_addresses, learnt)))

    def forget(self, name, address):
        """What it was given stays."""
        old = self.state.get("networkInterfaces", name).properties
        for one in old.learned_ip_addresses:
            if one.ip_address == address:
                ip = ipaddress.ip_address(address)
                scope = ip_scope(one.subnet.resource_ref.partition("/subnets/")[0], ip.version)
                self.lease(scope, int(ip), Holder("", ""), wanted=False)
        rest = tuple(one for one in old.learned_ip_addresses if one.ip_address != address)
        self.put("networkInterfaces", name, replace(old, learned_ip_addresses=rest))

    def _interface_leases(self, name, wanted, keep=()):
        found = self.state.get("networkInterfaces", name)
        configured = found.properties.ip_configurations if found is not None else ()
        if found is not None and found.properties.private_mac_address:
            holder = Holder("networkInterface", f"/networkInterfaces/{name}")
            mac = int(found.properties.private_mac_address, 16)
            before = self.state.lease(MAC_SCOPE, mac)
            others = tuple(one for one in (before.holders if before is not None else ()) if one != holder)
            self.lease(MAC_SCOPE, mac, holder, wanted, others)
        places = [(one.properties.subnet.resource_ref, one.properties.private_ip_address) for one in configured]
        learnt = found.properties.learned_ip_addresses if found is not None else ()
        for place in [*places, *((one.subnet.resource_ref, one.ip_address) for one in learnt)]:
            if place in keep or not place[1]:
                continue
            network, address = place[0].partition("/subnets/")[0], ipaddress.ip_address(place[1])
            holder = Holder("networkInterface", f"/networkInterfaces/{name}")
            self.lease(ip_scope(network, address.version), int(address), holder, wanted)

    def drop_interface(self, name):
        self._interface_leases(name, wanted=False)
        self.delete("networkInterfaces", name)

    def machine(self, name, server, interfaces, power="Off", move=None):
        self.put(
            "virtualMachines",
            name,
            workload.VirtualMachineProperties(
                server=Ref(f"/servers/{server}") if server else None,
                network_interfaces=tuple(Ref(f"/networkInterfaces/{one}") for one in interfaces),
                power_state=power,
                move=move,
            ),
        )

    def change_machine(self, name, **properties):
        old = self.state.get("virtualMachines", name)
        new = replace(old, properties=replace(old.properties, **properties))
        self._turn(ResourceChange("virtualMachines", name.lower(), old, new))

    def power(self, name, power):
        self.change_machine(name, power_state=power)

    def move(self, name, destination, phase, generation=7):
        """Put the machine's move into a phase; `done` and `failed` end it."""
        old = self.state.get("virtualMachines", name).properties
        source = old.move.source if old.move is not None else old.server.resource_ref.rpartition("/")[2]
        move = workload.Move(source=source, destination=destination, phase=phase, generation=generation)
        server = old.server
        if phase in ("switched", "done"):
            server = Ref(f"/servers/{destination}")
        self.change_machine(name, server=server, move=None if phase in ("done", "failed") else move)


def sample():
    """Two tenants with equal addresses on two hosts (source 004): Blue 6001 and 6002, Red 5001."""
    world = World()
    world.protocol("NVGRE")
    world.fabric(pa1="192.168.1.0/24", pa2="192.168.2.0/24")
    world.server("Host1", "192.168.1.10")
    world.server("host2", "192.168.2.20")
    world.network("Blue", 60, {"web": ("10.1.1.0/24", 6001), "db": ("10.1.2.0/24", 6002)})
    world.network("red", 50, {"web": ("10.1.1.0/24", 5001)})
    for tenant, base in (("Blue", 0x101010101100), ("red", 0x101010102200)):
        for number, host in ((1, "host1"), (2, "host2")):
            name = f"{tenant}{number}".lower()
            place = (f"/virtualNetworks/{tenant}/subnets/web", f"10.1.1.1{number}")
            world.interface(f"{name}-eth0", base + number, place)
            world.machine(name, host, [f"{name}-eth0"], "Running")
    world.interface("blue3-eth0", 0x101010101103, ("/virtualNetworks/blue/subnets/db", "10.1.2.21"))
    world.machine("blue3", "host2", ["blue3-eth0"], "Running")
    return world
