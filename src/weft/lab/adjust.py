"""What runs in a lab, made what its file says: machines whose guests are not what was granted, and what left the file.

Called by weft.lab.up once the file is applied and the agents are there. A guest takes its interfaces at its start only,
so one that differs is restarted; nothing that left the file is taken away without being asked.
"""

import asyncio
import ipaddress
import json
from collections.abc import Sequence
from typing import Any

import msgspec

from weft.lab import control, names, namespaces
from weft.lab.commands import run
from weft.lab.guests import Guest, GuestFiles
from weft.lab.plan import LabPlan
from weft.lab.state import LabFolder
from weft.model.values import mac_colons, parse_mac
from weft.wire.client import NETWORKING, WEFT, Client

MACHINES = f"{WEFT}/virtualMachines"


class Nic(msgspec.Struct, frozen=True):
    """An interface as it was granted, or as the guest has it."""

    mac: str
    addresses: frozenset[str]


class Absent(msgspec.Struct, frozen=True):
    """What is in the lab and not in its file."""

    machines: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()

    def text(self, lab: str) -> str:
        """One line with the commands that take it away; empty if there is nothing."""
        said = []
        if self.machines:
            machines = ", ".join(self.machines)
            said.append(f"machines {machines} (to take one away: weft vm stop NAME, weft delete virtualMachines NAME)")
        if self.hosts:
            said.append(f"hosts {', '.join(self.hosts)} (they go with the whole lab: {names.command(lab)} down)")
        return f"not in the file, left as they are: {'; '.join(said)}" if said else ""


def stop_off(folder: LabFolder, off: Sequence[str]) -> list[str]:
    """Stop the machines that the file wants Off; those that ran."""

    async def stop(client: Client) -> list[str]:
        ran = [name for name in off if await _running(client, name)]
        await asyncio.gather(*(client.post(f"{MACHINES}/{name}/stop", {}) for name in ran))
        return ran

    return control.ask(folder.read().url, stop) if off else []


def restart_changed(folder: LabFolder) -> list[str]:
    """Restart each machine that runs with other interfaces, MACs or addresses than were granted; their names."""
    guests = [guest for guest in GuestFiles(folder.guests).all() if guest.running]
    inside = {guest.machine: nics(_shown(guest.namespace)) for guest in guests if namespaces.exists(guest.namespace)}

    async def restart(client: Client) -> list[str]:
        wanted = {name: await _interfaces(client, name) for name in inside if await _running(client, name)}
        changed = [name for name, found in wanted.items() if tuple(map(granted, found)) != inside[name]]
        await asyncio.gather(*(client.post(f"{MACHINES}/{name}/stop", {}) for name in changed))
        for guest in guests:
            if guest.machine in changed:
                _replug(folder, guest, wanted[guest.machine])
        await asyncio.gather(*(client.post(f"{MACHINES}/{name}/start", {}) for name in changed))
        return changed

    return control.ask(folder.read().url, restart)


def absent(folder: LabFolder, asked: LabPlan) -> Absent:
    """Hosts of the lab, and machines on them, that the file does not name."""
    state = folder.read()
    named = {document.id.lower() for document in asked.resources if document.kind.name == "virtualMachines"}
    hosts = {host.name.lower() for host in asked.hosts}

    async def strangers(client: Client) -> list[str]:
        found = await client.list_all(MACHINES)
        here = [one for one in found if _server(one) in state.hosts]
        return sorted(one["resourceId"] for one in here if one["resourceId"].lower() not in named)

    gone = tuple(host.name for name, host in state.hosts.items() if name not in hosts)
    return Absent(tuple(control.ask(state.url, strangers)), gone)


def nics(links: Sequence[Any]) -> tuple[Nic, ...]:
    """eth0, eth1 ... of what `ip -j addr` says."""
    found = {link["ifname"]: link for link in links if link["ifname"].startswith("eth")}
    return tuple(
        Nic(link["address"], frozenset(one["local"] for one in link["addr_info"] if one["scope"] == "global"))
        for _, link in sorted(found.items(), key=lambda item: int(item[0][3:]))
    )


def granted(interface: Any) -> Nic:
    """What a networkInterface has."""
    properties = interface["properties"]
    texts = [one["properties"].get("privateIPAddress") for one in properties.get("ipConfigurations", ())]
    addresses = frozenset(str(ipaddress.ip_address(text)) for text in texts if text)
    return Nic(mac_colons(parse_mac(properties["privateMacAddress"])), addresses)


def _replug(folder: LabFolder, guest: Guest, interfaces: Sequence[Any]) -> None:
    """The MAC by which the agent knows each port: of one that carries another it keeps the machine from starting."""
    macs = {one["instanceId"]: granted(one).mac for one in interfaces}
    host = folder.host(guest.host)
    words = []
    for slot, port in zip(guest.legs.get(guest.host, ()), guest.ports, strict=False):
        if port.instance_id in macs:
            mac = f'external_ids:attached-mac="{macs[port.instance_id]}"'
            words += ["--", "set", "interface", names.leg_port(slot), mac]
    if words:
        run(["ovs-vsctl", f"--db=unix:{folder.rundir(host)}/db.sock", "--timeout=60", *words])


async def _interfaces(client: Client, machine: str) -> list[Any]:
    """In the order of eth0, eth1 ..."""
    properties = (await client.get(f"{MACHINES}/{machine}"))["properties"]
    refs = [one["resourceRef"].rpartition("/")[2] for one in properties.get("networkInterfaces", ())]
    return [await client.get(f"{NETWORKING}/networkInterfaces/{name}") for name in refs]


async def _running(client: Client, machine: str) -> bool:
    found = await client.find(f"{MACHINES}/{machine}")
    return found is not None and found["properties"].get("powerState") == "Running"


def _server(machine: Any) -> str:
    return str((machine["properties"].get("server") or {}).get("resourceRef", "")).rpartition("/")[2].lower()


def _shown(namespace: str) -> list[Any]:
    found: list[Any] = json.loads(run(["ip", "-n", namespace, "-j", "addr"], check=False) or "[]")
    return found
