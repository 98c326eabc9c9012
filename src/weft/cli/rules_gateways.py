"""What can be seen wrong without a controller about public addresses, gateways, their pools and connections. Pure.

Called by cli.rules, which has the rest.
"""

from weft.cli.check import Check
from weft.cli.shapes import Place

DEFAULT_IDLE_MIN = 4


def public_address(check: Check) -> None:
    address = ("properties", "ipAddress")
    check.address(address)
    method = ("properties", "publicIPAllocationMethod")
    _one_of(check, method, ("Static", "Dynamic"))
    if str(check.at(method)).lower() == "static" and address not in check.document.lines:
        check.fault(method, "a Static address is not given; write ipAddress, or Dynamic to be granted one")
    idle = check.at(("properties", "idleTimeoutInMinutes"))
    if isinstance(idle, int) and idle != DEFAULT_IDLE_MIN:
        message = "no gateway forgets idle connections before its kernel does (5 days); leave it out"
        check.fault(("properties", "idleTimeoutInMinutes"), message)


def gateway_pool(check: Check) -> None:
    place = ("properties", "type")
    check.required(place, "forwarding, s2sGre or All")
    _one_of(check, place, ("forwarding", "s2sGre", "All"))
    gre = str(check.at(place)).lower() in ("s2sgre", "all")
    if gre and not check.at(("properties", "ipConfiguration", "greVipSubnets")):
        check.fault(place, "it serves GRE without ipConfiguration.greVipSubnets; name a logical subnet there")


def gateway(check: Check) -> None:
    check.required(("properties", "pool"), "{resourceRef: /gatewayPools/NAME}")
    check.required(("properties", "server"), "{resourceRef: /servers/NAME}")


def virtual_gateway(check: Check) -> None:
    check.required(("properties", "GatewayPools"), "[{resourceRef: /gatewayPools/NAME}]")
    check.required(("properties", "gatewaySubnets"), "[{resourceRef: /virtualNetworks/NETWORK/subnets/SUBNET}]")
    for place in check.items("properties", "networkConnections"):
        _connection(check, (*place, "properties"))


def _connection(check: Check, place: Place) -> None:
    at = (*place, "connectionType")
    check.required(at, "L3 or GRE")
    _one_of(check, at, ("L3", "GRE"))
    for own in check.items(*place, "ipAddresses"):
        check.address((*own, "ipAddress"))
    for name in ("sourceIPAddress", "destinationIPAddress"):
        check.address((*place, name))
    for route in check.items(*place, "routes"):
        check.prefix((*route, "destinationPrefix"))
    kind = str(check.at(at)).lower()
    if kind == "l3":
        check.required(
            (*place, "l3Configuration"), "{vlanSubnet: {resourceRef: /logicalNetworks/NETWORK/subnets/SUBNET}}"
        )
        check.required((*place, "ipAddresses"), "[{ipAddress: 10.100.0.5, prefixLength: 24}]")
    elif kind == "gre":
        check.required((*place, "destinationIPAddress"), "198.51.100.9")


def _one_of(check: Check, place: Place, allowed: tuple[str, ...]) -> None:
    word = check.at(place)
    if word and str(word).lower() not in [each.lower() for each in allowed]:
        check.fault(place, f"'{word}' is not served; write {' or '.join(allowed)}")
