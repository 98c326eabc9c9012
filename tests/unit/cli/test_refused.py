"""Where in a file a refusal is about, by its target and its words."""

import pytest

from weft.cli.files import parse_stream
from weft.cli.refused import RefusedDocument
from weft.model.errors import Invalid

GATEWAY = """\
kind: virtualGateways
resourceId: blue
properties:
  GatewayPools:
  - resourceRef: /gatewayPools/one
  gatewaySubnets:
  - resourceRef: /virtualNetworks/blue/subnets/gw
  nat:
    enabled: true
    publicIPAddress: {resourceRef: /publicIPAddresses/p1}
  networkConnections:
  - resourceId: far
    properties:
      connectionType: GRE
      destinationIPAddress: 10.20.0.9
      greConfiguration: {greKey: "7"}
      ipAddresses:
      - ipAddress: 172.16.0.1
        prefixLength: 30
      routes:
      - destinationPrefix: 10.1.1.0/25
        metric: 5
      - destinationPrefix: 10.9.0.0/16
        metric: 5
  - resourceId: near
    properties:
      connectionType: GRE
      destinationIPAddress: 10.20.0.10
      ipAddresses:
      - ipAddress: 172.16.0.1
        prefixLength: 30
      routes:
      - destinationPrefix: 10.9.0.0/16
        metric: 5
"""
SERVER = """\
kind: servers
resourceId: host1
properties:
  providerAddresses:
  - 192.168.1.10
  - 192.168.9.9
  networkInterfaces:
  - resourceId: nic1
    properties:
      logicalSubnets:
      - resourceRef: /logicalNetworks/hnvpa/subnets/pa1
  - resourceId: nic2
    properties:
      logicalSubnets:
      - resourceRef: /logicalNetworks/hnvpa/subnets/no
"""
SEE = ": see which there are with weft get subnets --of logicalNetworks/hnvpa"
RULES = """\
kind: accessControlLists
resourceId: front
properties:
  inboundDefaultAction: Deny
  aclRules:
  - resourceId: ssh
    properties:
      priority: 100
      type: Inbound
      action: Allow
      protocol: TCP
      sourceAddressPrefix: "*"
      sourcePortRange: "*"
      destinationAddressPrefix: 10.1.0.0/16
      destinationPortRange: "22"
  - resourceId: web
    properties:
      priority: 110
      type: Inbound
      action: Allow
      protocol: ICMPv4
      sourceAddressPrefix: INTERNET
      sourcePortRange: "*"
      destinationAddressPrefix: fd00::/16
      destinationPortRange: "*"
"""


@pytest.mark.parametrize(
    ("text", "target", "message", "line"),
    [
        (GATEWAY, "destinationPrefix", "The route of connection far to 10.1.1.0/25 leads out", 21),
        (GATEWAY, "destinationPrefix", "The route of connection near to 10.9.0.0/16 leads out", 33),
        (GATEWAY, "routes", "10.9.0.0/16 with metric 5 is in far and in near: give one of the two another.", 32),
        (GATEWAY, "ipAddresses", "Connections far and near both have 172.16.0.1 in their tunnels.", 29),
        (GATEWAY, "sourceIPAddress", "Connection near has no sourceIPAddress.", 25),
        (GATEWAY, "greConfiguration", "Connection near needs a key.", 25),
        (GATEWAY, "nat.publicIPAddress", "There is no such address.", 10),
        (GATEWAY, "GatewayPools", "There is no gatewayPool /gatewayPools/one.", 4),
        (GATEWAY, "/virtualGateways/blue", "/publicIPAddresses/p1 is used elsewhere.", 10),
        (GATEWAY, "/virtualGateways/blue", "Something is wrong with it.", 1),
        (SERVER, "logicalSubnets", f"Adapter nic2: /logicalNetworks/hnvpa/subnets/no is no logical subnet{SEE}.", 14),
        (SERVER, "/servers/host1", "192.168.9.9 is another's.", 6),
        (SERVER, "providerAddresses", "192.168.9.9 lies in no ipPool of a provider subnet.", 4),
        (RULES, "priority", "The priority of rule ssh is 100: write another.", 8),
        (RULES, "destinationAddressPrefix", "Rule web goes from 10.1.0.0/16 to fd00::/16: no packet has both.", 24),
        (RULES, "protocol", "Rule web is for ICMPv4, but its prefixes are IPv6: no packet matches it.", 21),
        (RULES, "logging", "Logging of rule ssh is on or off.", 6),
        (RULES, "aclRules", "Rule web has a tag, and /accessControlLists/front filters what knows none.", 5),
    ],
)
def test_the_line_is_that_of_what_the_refusal_names(text: str, target: str, message: str, line: int) -> None:
    (document,) = parse_stream(text, "f.yaml").resources
    for full in (target, f"requests[0]{'' if target.startswith('/') else '.'}{target}".replace("]/", "] /")):
        refused = RefusedDocument(document, Invalid(message, target=full))
        assert str(refused).startswith(f"f.yaml:{line}: {document.name}: {message}"), (full, str(refused))
