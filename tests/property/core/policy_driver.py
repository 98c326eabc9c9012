"""Takes the steps of policy_steps.py: makes of each what the state can take."""

from msgspec.structs import replace

from tests.cluster import access_lists, ways_out
from tests.cluster.world import World
from tests.property.core.policy_steps import (
    ADDRESSES,
    CONNECTIONS,
    HOSTS,
    INTERFACES,
    LISTS,
    NETWORKS,
    ROUTES,
    SETTINGS,
    SIDES,
)
from weft.core.provider_places import told_addresses
from weft.model.fabric import MacRange, ProviderAddressChange, ServerConnection, ServerProviderNetwork
from weft.model.hypervisor import Hardware
from weft.model.tenancy import AclRuleProperties, DhcpOptions
from weft.model.values import ip_text
from weft.model.workload import Creation, DnsSettings, Errand, HypervisorIdentity


class Driver:
    """Makes of a drawn step what the state can take: nothing where it would break a reference."""

    def __init__(self):
        self.world = World()
        self.fabric("192.168.1.0/24")
        for host in HOSTS:
            self.world.server(host, *ADDRESSES[host][:1])
        self.vlans(20, "10.7.0.0/24")
        for name in NETWORKS:
            self.network(name, 0)
        ways_out.outside(self.world, "internet", "203.0.113.0/24")
        ways_out.public_address(self.world, "p1", "203.0.113.20")
        for name in SIDES:
            self.side(name, 0, 0)
        self.pool(True)

    def protocol(self, name):
        self.world.protocol(name)

    def fabric(self, prefix):
        self.world.fabric(pa1=prefix, pa2="192.168.2.0/24", six="fd99::/64")

    def shares(self, policy):
        """How all hosts use their addresses that do not say themselves."""
        old = self.world.state.get("logicalNetworks", "hnvpa").properties
        self.world.put("logicalNetworks", "hnvpa", replace(old, provider_address_policy=policy))

    def managed(self, host, addresses, draws):
        """Where a host is managed, and what its hypervisor may draw from."""
        old = self.world.state.get("servers", host).properties
        drawn = MacRange("00-15-5D-01-00-00", "00-15-5D-01-00-FF") if draws else None
        known = (ServerConnection(management_addresses=addresses),) if addresses else ()
        self.world.put("servers", host, replace(old, connections=known, wanted_dynamic_mac_range=drawn))

    def made(self, name, memory, known_as):
        """What a machine is made of, and how its hypervisor knows it."""
        if self.world.state.get("virtualMachines", name) is not None:
            hardware = Hardware(memory_mib=memory) if memory else None
            known = HypervisorIdentity(type="lab", id=known_as) if known_as else None
            self.world.change_machine(name, hardware=hardware, hypervisor=known)

    def ways(self, subnet, destinations):
        self.world.ways(subnet, *((one, f"192.168.{subnet[-1]}.{len(destinations)}") for one in destinations))

    def vlans(self, vlan, prefix):
        self.world.vlans("Shops", v20=(prefix, vlan), free=("", 0))

    def shop(self, name, place, mac):
        """An interface on a VLAN, on untagged frames, or on the provider network, where it has no port."""
        number = INTERFACES.index(name) + 10
        ref, address = (
            ("/logicalNetworks/shops/subnets/V20", f"10.7.0.{number}"),
            ("/logicalNetworks/shops/subnets/free", None),
            ("/logicalNetworks/hnvpa/subnets/pa2", f"192.168.2.{number}"),
        )[place]
        self.world.interface(name, mac, (ref, address))

    def server(self, host, count):
        self.world.server(host, *ADDRESSES[host][:count])

    def policy(self, host, name):
        self.world.policy(host, name)

    def subnet_address(self, host, network, subnet, wanted):
        """A virtual subnet has an address of its own on a host, whatever is there, or has it no more."""
        last = 100 + 10 * HOSTS.index(host) + 2 * tuple(NETWORKS).index(network) + (subnet == "db")
        ref = f"/virtualNetworks/{network}/subnets/{subnet}"
        self.world.subnet_address(host, ref, f"192.168.1.{last}", wanted)

    def pair(self, network, named_by):
        """The subnets of one VSID are a pair, which either of them says."""
        if self.world.state.get("virtualNetworks", network) is not None:
            self.world.pair(network, *(("web", "Six") if named_by == "Six" else ("Six", "web")))

    def readdressed(self, host, phase):
        """The first of what it has comes, and the last leaves."""
        held = sorted(ip_text(one) for _, one, _ in told_addresses(self.world.state, host))
        change = ProviderAddressChange(phase, tuple(held[:1]), tuple(held[1:][-1:]), 7) if phase and held else None
        self.world.readdressed(host, change)

    def peer(self, name, side, forwarded, gateway=""):
        """None, one, or one that nobody may use; its gateway is lent, or the other's used."""
        if self.world.state.get("virtualNetworks", name) is not None:
            others = [one for one in NETWORKS if one != name] if side else []
            switches = {"allow_gateway_transit": gateway == "lends", "use_remote_gateways": gateway == "uses"}
            access = {"allow_virtual_network_access": side == 1, "allow_forwarded_traffic": forwarded}
            self.world.peer(name, *others, **access, **switches)

    def encrypt(self, name, subnets):
        if self.world.state.get("virtualNetworks", name) is not None:
            self.world.encrypt(name, *subnets)

    def says(self, host, answers):
        self.world.on_provider_network(host, ServerProviderNetwork() if answers else None)

    def settings(self, name, shape):
        if self.world.state.get("networkInterfaces", name) is not None:
            self.world.settings(name, **SETTINGS[shape])

    def own_protocol(self, network, protocol):
        if self.world.state.get("virtualNetworks", network) is not None:
            self.world.encapsulate(network, protocol)

    def stand(self, host, name, place, wanted):
        """A provider address for the first address of an interface, or (1, or 2 for an IPv6 one) the second, on a host
        where it may not be at all. Not while it runs: decide grants them only with a change of its machine."""
        machine = self.world.state.machine_of(name)
        if machine is not None and machine.properties.power_state == "Running":
            return
        number = 100 + 10 * INTERFACES.index(name) + 3 * HOSTS.index(host) + place
        text = f"fd99::{number}" if place == 2 else f"192.168.1.{number}"
        self.world.stand(host, name, text, wanted, min(place, 1))

    def table(self, name, routes):
        self.world.table(name, **{one: ROUTES[one] for one in sorted(routes)})

    def network(self, name, shape, table=""):
        """Four shapes: another VSID, another prefix, or the second subnet missing, which nothing may be in then. Its
        first subnets are routed by `table`."""
        if shape == 2 and any(True for _ in self.world.state.interfaces_in(f"/virtualNetworks/{name}/subnets/db")):
            return
        base = NETWORKS[name] * 100
        subnets = {"web": ("10.1.1.0/24", base + (shape == 1)), "Six": ("fd00:1::/64", base + (shape == 1))}
        if shape != 2:
            subnets["db"] = ("10.1.2.0/24" if shape == 0 else "10.1.2.0/25", base + 5)
        tables = {"web": table, "Six": table} if table and self.world.state.get("routeTables", table) else {}
        self.world.network(name, NETWORKS[name], subnets, tables)

    def interface(self, name, network, place, mac):
        subnet = ("web", "web", "db", "web")[place]
        if self.world.state.find_ref(f"/virtualNetworks/{network}/subnets/{subnet}") is None:
            return
        host = INTERFACES.index(name) + 10
        ref = f"/virtualNetworks/{network}/subnets/"
        places = (
            [(ref + "WEB", f"10.1.1.{host}")],
            [(ref + "web", f"10.1.1.{host + 20}"), (ref + "six", f"fd00:1::{host}")],
            [(ref + "db", f"10.1.2.{host}")],
            [],
        )[place]
        self.world.interface(name, mac, *places)

    def list(self, name, shape):
        rule = AclRuleProperties(
            action="Deny",
            type=("Inbound", "Outbound")[shape % 2],
            priority=100 + shape,
            protocol="TCP",
            source_address_prefix="VIRTUALNETWORK",
            source_port_range="*",
            destination_address_prefix="10.1.0.0/16",
            destination_port_range="22",
        )
        access_lists.put_list(self.world, name, LISTS[name], (rule,), inbound=("Permit", "Deny")[shape // 2])

    def unlist(self, name):
        ref = f"/accessControlLists/{name}"
        state = self.world.state
        if not any(True for _ in state.interfaces_with_list(ref)) and not any(
            True for _ in state.subnets_with_list(ref)
        ):
            access_lists.take_list(self.world, name)

    def filter_subnet(self, network, subnet, name):
        known = self.world.state.get("virtualNetworks", network)
        if known is not None and (not name or self.world.state.get("accessControlLists", name) is not None):
            access_lists.filter_subnet(self.world, network, subnet, name.upper())

    def guests(self, network, subnet, age):
        """Age 0: none."""
        if self.world.state.find_ref(f"/virtualNetworks/{network}/subnets/{subnet}") is not None:
            self.world.guests(network, subnet, enabled=age > 0, age_seconds=age or 900)

    def bring(self, name, address):
        """Into the subnet of its first address, or that one's partner."""
        found = self.world.state.get("networkInterfaces", name)
        configurations = found.properties.ip_configurations if found is not None else ()
        ref = configurations[0].properties.subnet.resource_ref.lower() if configurations else ""
        if ref.endswith("/web"):
            network = ref.partition("/subnets/")[0]
            self.world.bring(name, f"{network}/subnets/{'Six' if ':' in address else 'web'}", address)

    def forget(self, name, address):
        if self.world.state.get("networkInterfaces", name) is not None:
            self.world.forget(name, address)

    def filter_interface(self, interface, name):
        known = self.world.state.get("networkInterfaces", interface)
        if known is not None and (not name or self.world.state.get("accessControlLists", name) is not None):
            access_lists.filter_interface(self.world, interface, name)

    def space(self, network, prefix):
        if self.world.state.get("virtualNetworks", network) is not None:
            self.world.space(network, prefix, "fd00:1::/48")

    def options(self, name, servers, seconds):
        """What DHCP tells all guests of a network; the cool-down of its subnets goes along."""
        network = self.world.state.get("virtualNetworks", name)
        if network is None:
            return
        subnets = tuple(
            replace(one, properties=replace(one.properties, cool_down_seconds=seconds))
            for one in network.properties.subnets
        )
        dhcp = DhcpOptions(dns_servers=servers, lease_seconds=max(600, seconds // 4))
        self.world.put("virtualNetworks", name, replace(network.properties, dhcp_options=dhcp, subnets=subnets))

    def told(self, name, servers, label, primary):
        """What DHCP tells one guest alone; `primary`: the last of its addresses is the one that it is given."""
        interface = self.world.state.get("networkInterfaces", name)
        if interface is None:
            return
        configurations = interface.properties.ip_configurations
        if configurations:
            last = replace(configurations[-1], properties=replace(configurations[-1].properties, is_primary=primary))
            configurations = (*configurations[:-1], last)
        changed = replace(
            interface.properties,
            dns_settings=DnsSettings(dns_servers=servers),
            internal_dns_name_label=label,
            ip_configurations=configurations,
        )
        self.world.put("networkInterfaces", name, changed)

    def drop(self, name):
        if self.world.state.machine_of(name) is None:
            self.world.drop_interface(name)

    def machine(self, name, host, interfaces):
        state = self.world.state
        owned = {one for one in interfaces if (owner := state.machine_of(one)) is None or owner.resource_id == name}
        free = sorted(one for one in owned if state.get("networkInterfaces", one) is not None)
        self.world.machine(name, host, free, "Off")

    def power(self, name, power):
        if self.world.state.get("virtualMachines", name) is not None:
            self.world.power(name, power)

    def move(self, name, host, phase):
        machine = self.world.state.get("virtualMachines", name)
        if machine is not None and machine.properties.server is not None:
            self.world.move(name, host, phase)

    def creation(self, name, phase):
        if self.world.state.get("virtualMachines", name) is not None:
            self.world.change_machine(name, creation=Creation(phase=phase, generation=7) if phase else None)

    def errand(self, name, kind, phase):
        if self.world.state.get("virtualMachines", name) is not None:
            asked = Errand(number=7, kind=kind, name="c", phase=phase) if phase else None
            self.world.change_machine(name, errand=asked)

    def delete(self, name):
        self.world.delete("virtualMachines", name)

    def gateway(self, name, host):
        """Its server is fixed, so another is another gateway; virtual gateways may name one that is gone."""
        self.world.delete("gateways", name)
        if host:
            ways_out.gateway(self.world, name, host)

    def way_out(self, network, carriers, nat):
        if self.world.state.get("virtualNetworks", network) is None or carriers is None:
            self.world.delete("virtualGateways", network)
            return
        ways_out.way_out(self.world, network, "web", "10.1.1.250", carriers, nat="p1" if nat else "")

    def leads(self, network, which, six):
        """The connections of a virtual gateway, and whether it has an IPv6 address too."""
        old = self.world.state.get("virtualGateways", network)
        if old is not None:
            carriers = [one.resource_ref.rpartition("/")[2] for one in old.properties.gateways]
            nat = "p1" if old.properties.nat.enabled else ""
            also = ("Six", "fd00:1::250") if six else ()
            ways_out.way_out(self.world, network, "web", "10.1.1.250", carriers, nat, CONNECTIONS[which], also)

    def side(self, name, shape, vlan):
        ways_out.outside(self.world, name, SIDES[name][shape], vlan, public=False)

    def pool(self, ends):
        """Whether GRE connections of the gateways have anywhere to end."""
        ways_out.pool(self.world, "gp", ["/logicalNetworks/Vips/subnets/out"] if ends else [])

    def outside(self, prefix):
        ways_out.outside(self.world, "internet", prefix)

    def public(self, address):
        ways_out.public_address(self.world, "p1", address)

    def known(self, name, yes):
        found = self.world.state.get("networkInterfaces", name)
        if found is not None and found.properties.ip_configurations:
            ways_out.make_known(self.world, name, "p1" if yes else None)

    def raze(self, network):
        """A network with all that is in it, as one batch."""
        state = self.world.state
        for interface in list(state.interfaces_in(f"/virtualNetworks/{network}")):
            machine = state.machine_of(interface.resource_id)
            if machine is not None:
                self.world.delete("virtualMachines", machine.resource_id)
            self.world.drop_interface(interface.resource_id)
        self.world.delete("virtualGateways", network)
        self.world.delete("virtualNetworks", network)
