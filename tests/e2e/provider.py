"""Provider addresses of a lab's hosts: asked for, as they are on record, and as packets have them on the wire."""

import json
import re

from tests.waiting import until
from weft.agent.flows.ways import PROBE_VSID

_VXLAN = re.compile(r"IP (\S+)\.\d+ > (\S+)\.4789: VXLAN, flags \[I\] \(0x08\), vni (\d+)")
_NVGRE = re.compile(r"IP (\S+) > (\S+): GREv0, key=0x([0-9a-f]+)")


def apply(lab, folder, *resources):
    """Kind, id and properties of each."""
    file = folder / "change.yaml"
    documents = ({"kind": kind, "resourceId": name, "properties": its} for kind, name, its in resources)
    file.write_text("\n---\n".join(map(json.dumps, documents)))
    lab.weft("apply", "-f", str(file))


def own_addresses(lab):
    """Of each server, as asked for and granted."""
    found = json.loads(lab.weft("get", "servers", "-o", "json"))
    return {one["resourceId"]: one["properties"]["providerAddresses"] for one in found}


def settled(lab, patience=30):
    """Wait until no address changes any more; what each server has then."""

    def servers():
        return lab.weft("get", "servers", "-o", "json")

    until(lambda: "providerAddressChange" not in servers(), servers, patience)
    return own_addresses(lab)


def ask(lab, folder, servers):
    """For properties of servers, which are carried out while machines run; what each server has then."""
    apply(lab, folder, *(("servers", name, properties) for name, properties in servers.items()))
    return settled(lab)


def per_host(addresses):
    """What puts everything back."""
    return {one: {"providerAddressPolicy": "perHost", "providerAddresses": own} for one, own in addresses.items()}


def reached_at(lab, host, address):
    """The provider address to which a host sends what is for a customer address."""
    policy = json.loads(lab.weft("policy", host, "-o", "json"))
    (found,) = (one["providerAddress"] for one in policy["lookupRecords"] if one["customerAddress"] == address)
    return found


def crossing(lab, host, count=60):
    """From and to which provider addresses guests' packets are on a host's wire now."""
    heard = ("timeout", "20", "tcpdump", "-n", "-c", str(count), "-i", "any", "udp port 4789 or proto gre")
    said = lab.run("host", host, "--", *heard)
    found = [(source, to, int(vni)) for source, to, vni in _VXLAN.findall(said)]
    found += [(source, to, int(key, 16) >> 8) for source, to, key in _NVGRE.findall(said)]
    return {(source, to) for source, to, vsid in found if vsid != PROBE_VSID}
