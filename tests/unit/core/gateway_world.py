"""A world with a public subnet, a VLAN, GRE outer addresses and bodies of gateways, for tests of their rules."""

from typing import Any

from tests.unit.core.world import World, virtual_network

PUBLIC = "/logicalNetworks/internet/subnets/public"
VLAN = "/logicalNetworks/physical/subnets/vlan100"
VIPS = "/logicalNetworks/physical/subnets/gre"


def ref(text: str) -> dict[str, str]:
    return {"resourceRef": text}


def subnet(name: str, prefix: str, vlan: int, pool: tuple[str, str], **more: Any) -> dict[str, Any]:
    pools = [{"resourceId": "p", "properties": {"startIpAddress": pool[0], "endIpAddress": pool[1]}}]
    return {"resourceId": name, "properties": {"addressPrefix": prefix, "vlanID": vlan, "ipPools": pools, **more}}


def internet(**more: Any) -> dict[str, Any]:
    gateway = {"isPublic": True, "defaultGateways": ["203.0.113.1"]} | more
    return {"subnets": [subnet("public", "203.0.113.0/24", 200, ("203.0.113.10", "203.0.113.12"), **gateway)]}


def pool(kind: str = "All", **more: Any) -> dict[str, Any]:
    return {"type": kind, "ipConfiguration": {"greVipSubnets": [ref(VIPS)]}, **more}


def gateway(server: str, pool_name: str = "gp") -> dict[str, Any]:
    return {"pool": ref(f"/gatewayPools/{pool_name}"), "server": ref(f"/servers/{server}")}


def l3(name: str = "vlan", address: str = "10.100.0.5", **more: Any) -> dict[str, Any]:
    return {
        "resourceId": name,
        "properties": {
            "connectionType": "L3",
            "ipAddresses": [{"ipAddress": address, "prefixLength": 24}],
            "l3Configuration": {"vlanSubnet": ref(VLAN)},
            **more,
        },
    }


def gre(name: str = "site", far: str = "198.51.100.9", **more: Any) -> dict[str, Any]:
    return {"resourceId": name, "properties": {"connectionType": "GRE", "destinationIPAddress": far, **more}}


def virtual_gateway(network: str = "blue", *connections: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "GatewayPools": [ref("/gatewayPools/gp")],
        "gatewaySubnets": [ref(f"/virtualNetworks/{network}/subnets/gw")],
        "networkConnections": list(connections),
        **more,
    }


class GatewayWorld(World):
    """Hosts h1 and h2; networks blue and red with the subnets web and gw; a pool gp of gateways g1 (on h1) and g2."""

    def __init__(self, redundant: int = 0) -> None:
        super().__init__()
        self.fabric()
        self.put("/logicalNetworks/internet", internet())
        vlan = subnet("vlan100", "10.100.0.0/24", 100, ("10.100.0.10", "10.100.0.20"), defaultGateways=["10.100.0.1"])
        vips = subnet("gre", "192.0.2.0/24", 300, ("192.0.2.10", "192.0.2.11"))
        self.put("/logicalNetworks/physical", {"subnets": [vlan, vips]})
        for name in ("blue", "red"):
            body = virtual_network({"web": "10.1.1.0/24", "gw": "10.1.2.0/24"})
            self.put(f"/virtualNetworks/{name}", body)
        self.put("/gatewayPools/gp", pool(redundantGatewayCount=redundant))
        for name, server in (("g1", "h1"), ("g2", "h2")):
            self.put(f"/gateways/{name}", gateway(server))

    def gateways_of(self, name: str) -> list[str]:
        return [one.resource_ref for one in self.get(f"/virtualGateways/{name}").properties.gateways]
