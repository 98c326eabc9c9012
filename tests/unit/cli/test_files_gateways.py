"""Faults of public addresses, gateways and their pools in a file, all at once and with their lines."""

from tests.unit.cli.faults import faults
from weft.cli.files import parse_stream

FILE = """\
kind: publicIPAddresses
resourceId: a
properties:
  publicIPAllocationMethod: Static
  idleTimeoutInMinutes: 30
---
kind: gatewayPools
resourceId: gp
properties:
  type: All
---
kind: gateways
resourceId: g1
properties:
  pool: {resourceRef: /servers/h1}
---
kind: virtualGateways
resourceId: v
properties:
  GatewayPools:
  - resourceRef: /gatewayPools/gp
  networkConnections:
  - resourceId: site
    properties:
      connectionType: IPSec
  - resourceId: vlan
    properties:
      connectionType: L3
      ipAddresses:
      - {ipAddress: nowhere, prefixLength: 24}
  - resourceId: far
    properties:
      connectionType: GRE
      routes:
      - destinationPrefix: 10.9.0.1/16
"""


def test_every_fault_of_gateways_is_found_with_its_line() -> None:
    found = {(int(line.split(":")[1]), line.split(":", 2)[2].split(";")[0].strip()) for line in faults(FILE)}
    assert {line for line, _ in found} == {4, 5, 10, 14, 15, 19, 25, 27, 30, 32, 35}, sorted(found)


def test_a_file_without_faults_has_none() -> None:
    text = FILE.replace("Static", "Dynamic").replace("30", "4").replace("type: All", "type: forwarding")
    text = text.partition("---\nkind: gateways")[0] + (
        "---\nkind: gateways\nresourceId: g1\nproperties:\n  pool: {resourceRef: /gatewayPools/gp}\n"
        "  server: {resourceRef: /servers/h1}\n"
    )
    assert len(parse_stream(text, "f.yaml").resources) == 3
