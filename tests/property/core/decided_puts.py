"""Commands about what is around networks, for test_policy_decided.py: gateways and their connections, access lists,
route tables, peerings, encryption, addresses that guests bring, networks that rewrite.

Each is a Command, or a tuple that `resolved` makes one of, by what the state has then.
"""

from hypothesis import strategies as st

from tests.unit.core.gateway_world import gateway, gre, internet, l3, pool, ref, subnet, virtual_gateway
from tests.unit.core.world import World, dynamic_interface, put_command, server_on, virtual_network
from weft.core.host_facts import ForgetAddress, LearnAddress, NoteProviderNetwork
from weft.model.fabric import ServerProviderNetwork, TunnelEncryption
from weft.model.values import InstanceId, pack_ip

NETWORKS = ("blue", "Red", "far")
FAR = {"web": "10.200.1.0/24"}
FLAT = [
    subnet("four", "172.20.0.0/24", 0, ("172.20.0.10", "172.20.0.40")),
    subnet("six", "fd99::/64", 0, ("fd99::10", "fd99::40")),
]
THIN = {"web": "10.1.1.0/24", "six": {"addressPrefix": "fd00:0:1::/64", "dualStackSubnet": ref("")}}
LEADS = (
    (),
    (l3(peerIPAddresses=["10.100.0.1"], routes=[{"destinationPrefix": "10.9.0.0/16"}]),),
    (gre(greConfiguration={"greKey": "7"}), l3()),
    (gre("other", "198.51.100.10"),),
)
RULE = {
    "priority": 110,
    "type": "Inbound",
    "action": "Deny",
    "protocol": "TCP",
    "sourceAddressPrefix": "*",
    "sourcePortRange": "*",
    "destinationAddressPrefix": "*",
}

pick = st.sampled_from


def around(world):
    """What they need to begin with."""
    world.put("/logicalNetworks/internet", internet())
    vlan = subnet("vlan100", "10.100.0.0/24", 100, ("10.100.0.10", "10.100.0.20"), defaultGateways=["10.100.0.1"])
    vips = subnet("gre", "192.0.2.0/24", 300, ("192.0.2.10", "192.0.2.11"))
    world.put("/logicalNetworks/physical", {"subnets": [vlan, vips]})
    world.put("/logicalNetworks/flat", {"networkVirtualizationEnabled": True, "subnets": FLAT})
    world.put("/gatewayPools/gp", pool())
    world.put("/publicIPAddresses/p1", {})
    world.put("/virtualNetworks/far", virtual_network(FAR, ("10.200.0.0/16",)))
    world.put("/accessControlLists/front", {"aclRules": []})
    world.put("/routeTables/t1", {"routes": []})


def network(name, told, peering):
    """One of NETWORKS whose first subnet is told more, with a peering or without."""
    ways = {"blue": "far", "far": "blue"}
    first = {"addressPrefix": "10.200.1.0/24" if name == "far" else "10.1.1.0/24", **told}
    body = virtual_network(
        {"web": first} if name == "far" else {"web": first, "db": "10.1.2.0/24"},
        ("10.200.0.0/16",) if name == "far" else ("10.1.0.0/16", "fd00::/32"),
    )
    if peering is not None and name in ways:
        properties = {"remoteVirtualNetwork": ref(f"/virtualNetworks/{ways[name]}"), "allowVirtualNetworkAccess": True}
        body["virtualNetworkPeerings"] = [{"resourceId": "p", "properties": properties | peering}]
    return put_command(f"/virtualNetworks/{name}", body)


def thin(rewrites):
    own = {**THIN, "six": {**THIN["six"], "dualStackSubnet": ref("/virtualNetworks/thin/subnets/web")}}
    body = virtual_network(own) | {"networkVirtualizationProtocol": "Rewrite" if rewrites else "NVGRE"}
    return put_command("/virtualNetworks/thin", body | {"logicalNetwork": ref("/logicalNetworks/flat")})


def thin_interface(name, six):
    body = dynamic_interface("/virtualNetworks/thin/subnets/web")
    second = {"resourceId": "ip2", "properties": {"subnet": ref("/virtualNetworks/thin/subnets/six")}}
    return put_command(
        f"/networkInterfaces/{name}", {**body, "ipConfigurations": body["ipConfigurations"] + [second] * six}
    )


def on_flat(name, families):
    body = server_on("pa1")
    body["networkInterfaces"][0]["properties"]["logicalSubnets"] += [
        ref(f"/logicalNetworks/flat/subnets/{one}") for one in families
    ]
    return put_command(f"/servers/{name}", body)


def _known(name, network):
    body = dynamic_interface(f"/virtualNetworks/{network}/subnets/web")
    body["ipConfigurations"][0]["properties"]["publicIPAddress"] = ref("/publicIPAddresses/p1")
    return put_command(f"/networkInterfaces/{name}", body)


def leaving(network, leads, nat):
    own = {"nat": {"enabled": True, "publicIPAddress": ref("/publicIPAddresses/p1")}} if nat else {}
    body = virtual_gateway(network, *LEADS[leads], **own)
    return put_command(
        f"/virtualGateways/{network}", body | {"gatewaySubnets": [ref(f"/virtualNetworks/{network}/subnets/web")]}
    )


def _list(ports):
    rules = [{"resourceId": "r1", "properties": {**RULE, "destinationPortRange": ports}}] if ports else []
    return put_command("/accessControlLists/front", {"aclRules": rules})


def _table(kind):
    hop = {"nextHopIpAddress": "10.1.1.9"} if kind == "VirtualAppliance" else {}
    route = {"resourceId": "r", "properties": {"addressPrefix": "203.0.113.0/24", "nextHopType": kind, **hop}}
    return put_command("/routeTables/t1", {"routes": [route] if kind else []})


TOLD = (
    {},
    {"encryptionEnabled": True},
    {"guestSpecifiedAddresses": {"enabled": True}},
    {"accessControlList": ref("/accessControlLists/front")},
    {"routeTable": ref("/routeTables/t1")},
)
PEERINGS = (None, None, {}, {"allowGatewayTransit": True}, {"useRemoteGateways": True}, {"allowForwardedTraffic": True})
_says = ServerProviderNetwork(tunnel_encryption=TunnelEncryption(available=True)), ServerProviderNetwork(), None


def beside(hosts, interfaces):
    """Of a cluster with these."""
    return st.one_of(
        st.builds(network, pick(NETWORKS), pick(TOLD), pick(PEERINGS)),
        st.builds(network, pick(NETWORKS), pick(TOLD), pick(PEERINGS)),
        st.builds(thin, st.booleans()),
        st.builds(thin_interface, pick(interfaces), st.booleans()),
        st.builds(on_flat, pick(hosts), pick((("four",), ("six",), ("four", "six")))),
        st.builds(lambda name, host: put_command(f"/gateways/{name}", gateway(host)), pick(("g1", "g2")), pick(hosts)),
        st.builds(leaving, pick(NETWORKS), st.integers(0, len(LEADS) - 1), st.booleans()),
        st.builds(_known, pick(interfaces), pick(NETWORKS)),
        st.builds(_list, pick(("", "22", "80-90"))),
        st.builds(_table, pick(("", "None", "Internet", "VirtualAppliance"))),
        st.builds(NoteProviderNetwork, pick(hosts), pick(_says)),
        st.tuples(
            st.just("learn"), pick(interfaces), pick(("10.1.1.200", "10.1.1.201", "10.200.1.200")), st.booleans()
        ),
        st.tuples(st.just("forget"), pick(interfaces), pick(("10.1.1.200", "10.1.1.201"))),
        pick(
            ("gateways/g1", "gateways/g2", *(f"virtualGateways/{one}" for one in NETWORKS), "virtualNetworks/thin")
        ).map(lambda name: World.delete_command(f"/{name}")),
    )


def resolved(state, asked):
    """A command about an interface's guest, or None where there is no such interface."""
    verb, name, address, *announced = asked
    found = state.get("networkInterfaces", name)
    if found is None:
        return None
    instance = InstanceId(found.instance_id)
    if verb == "learn":
        return LearnAddress(instance, pack_ip(address), announced=announced[0])
    return ForgetAddress(instance, pack_ip(address), "not seen any more")
