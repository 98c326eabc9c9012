"""A machine that has all that one can have, and one that asks it, beside examples/gateway.yaml; and what it has."""

import asyncio
import json
import re
import subprocess
import sys

from tests.e2e.labs import EXAMPLES
from weft.agent.hypervisors import Stop
from weft.lab.guests import GuestFiles
from weft.lab.hypervisor import LabHypervisor
from weft.lab.state import LabFolder

VIP, OWN, OWN6, PUBLIC = "10.1.1.200", "10.1.1.13", "fd00:1::13", "203.0.113.21"
"""What its guest brings, what it was given, and how it is known outside."""
_LIST_AND_ADDRESS = f"""\
kind: accessControlLists
resourceId: no-telnet
properties:
  inboundDefaultAction: Permit
  outboundDefaultAction: Permit
  aclRules:
  - resourceId: telnet
    properties: {{priority: 100, type: Inbound, action: Deny, protocol: TCP, sourceAddressPrefix: "*",
      sourcePortRange: "*", destinationAddressPrefix: "*", destinationPortRange: 23, logging: Enabled}}
---
kind: publicIPAddresses
resourceId: store
properties: {{publicIPAllocationMethod: Static, ipAddress: {PUBLIC}}}
"""
_MACHINE = """\
kind: networkInterfaces
resourceId: {name}-eth0
properties:
  privateMacAllocationMethod: Dynamic
  portSettings: {settings}
  ipConfigurations:
  - resourceId: ip4
    properties:
      privateIPAllocationMethod: Static
      privateIPAddress: 10.1.1.{number}
      subnet: {{resourceRef: /virtualNetworks/blue/subnets/web}}{more}
  - resourceId: ip6
    properties:
      privateIPAllocationMethod: Static
      privateIPAddress: "fd00:1::{number}"
      subnet: {{resourceRef: /virtualNetworks/blue/subnets/web6}}
---
kind: virtualMachines
resourceId: {name}
properties:
  server: {{resourceRef: /servers/{host}}}
  networkInterfaces: [{{resourceRef: /networkInterfaces/{name}-eth0}}]
"""
_SETTINGS = "{stormLimit: 77, qosSettings: {outboundMaximumMbps: 33}}"
_MORE = """
      publicIPAddress: {resourceRef: /publicIPAddresses/store}
      accessControlList: {resourceRef: /accessControlLists/no-telnet}"""
_ASKS = """
import socket
for port in (23, 24):
    try:
        socket.create_connection(("10.1.1.13", port), 1)
    except OSError as error:
        print(type(error).__name__)
"""


def documents():
    """(The file's network as it is; with both families and guests that bring addresses, and both machines in it)."""
    parts = (EXAMPLES / "gateway.yaml").read_text().split("\n---\n")
    (plain,) = (one for one in parts if "kind: virtualNetworks\nresourceId: blue\n" in one)
    pair = (
        "dualStackSubnet: {{resourceRef: /virtualNetworks/blue/subnets/{}}}, guestSpecifiedAddresses: {{enabled: true}}"
    )
    web6 = f"web6\n    properties: {{addressPrefix: 'fd00:1::/64', {pair.format('web')}}}\n"
    both = plain.replace("[10.1.0.0/16]", '[10.1.0.0/16, "fd00:1::/48"]').replace(
        "web\n    properties: {", f"{web6}  - resourceId: web\n    properties: {{{pair.format('web6')}, "
    )
    asker = _MACHINE.format(name="asker", number=14, host="host1", more="", settings="{}")
    store = _MACHINE.format(name="store", number=13, host="host2", more=_MORE, settings=_SETTINGS)
    return plain, "\n---\n".join((both, _LIST_AND_ADDRESS, asker, store))


def reached(lab, *addresses):
    """By asker: all of them?"""
    words = ("-c", "2", "-i", "0.05")
    asked = [lab.begin("ping", "asker", address, *words, stdout=subprocess.DEVNULL) for address in addresses]
    return [one.wait() for one in asked] == [0] * len(addresses)


def has(lab):
    """What store has, by the API and inside."""
    interface = json.loads(lab.weft("get", "networkInterfaces", "store-eth0", "-o", "json"))
    properties = interface["properties"]
    found = {name: properties.get(name) for name in ("privateMacAddress", "portSettings", "learnedIPAddresses")}
    members = ("privateIPAddress", "subnet", "publicIPAddress", "accessControlList")
    given = [one["properties"] for one in properties["ipConfigurations"]]
    found["given"] = [{name: one.get(name) for name in members} for one in given]
    (link,) = json.loads(lab.run("exec", "store", "--", "ip", "-j", "address", "show", "dev", "eth0"))
    found["inside"] = link["address"], {one["local"] for one in link["addr_info"]} - {VIP}
    return {"instanceId": interface["instanceId"], **found}


def end_guests(lab, host):
    """Of a host that has died, without a word to anybody: namespaces outlive its processes, and machines would not."""
    folder = LabFolder(lab.folder / lab.name)
    dead = LabHypervisor(folder, folder.host(host))
    for guest in GuestFiles(folder.guests).all():
        if guest.host == host and guest.running:
            asyncio.run(dead.carry_out(Stop(guest.machine)))


def telnet(lab):
    """What becomes of a connection that its list denies, and of one that it permits, where nobody listens."""
    return lab.run("exec", "asker", "--", sys.executable, "-c", _ASKS).split()


def limits(lab, host):
    """Those of store's port settings that meters of the host keep: packets a second, kbit/s."""
    said = lab.run("host", host, "--", "ovs-ofctl", "-O", "OpenFlow13", "dump-meters", "br-int")
    return [rate for rate in re.findall(r"rate=(\d+)", said) if rate in ("77", "33000")]
