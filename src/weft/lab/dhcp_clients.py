"""DHCP clients of namespace guests: busybox's udhcpc, the kernel's own SLAAC, ISC dhclient for DHCPv6.

Called by the lab's driver (weft.lab.hypervisor) for a machine of which the file says `dhcp: true`, each time that it is
started. A client lives in the guest's namespace until that goes, renews, and outlives the agent. Idempotent: an
interface whose client runs is left as it is.
"""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from weft.agent.hypervisors import HypervisorFailure
from weft.agent.programs import PATH
from weft.lab.dhcp_scripts import DHCLIENT6, UDHCPC
from weft.lab.namespaces import NETNS
from weft.lab.running import ip, run
from weft.model.records import PortBinding
from weft.model.values import link_local_of

NEEDS = {"busybox": "busybox-static", "dhclient": "isc-dhcp-client"}
"""The Debian package of each client."""


async def ensure_clients(space: str, folder: Path, ports: Sequence[PortBinding]) -> None:
    """Each interface asks for what its port was granted; what it was told is in `folder`.

    Raises HypervisorFailure where a client is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, port in enumerate(ports):
        device = f"eth{number}"
        families = {len(address) for address in port.addresses}
        if 16 in families:
            await _listen_to_routers(space, device)
        await ip(space, [f"link set dev {device} up"])
        if 4 in families:
            script = _write(folder / "udhcpc", UDHCPC)
            client = ["busybox", "udhcpc", "-f", "-i", device, "-s", str(script), "-O", "mtu", "-t", "0", "-T", "1"]
            await _ensure(space, client, folder)
        if any(_by_dhcp(port, address) for address in port.addresses):
            script = _write(folder / "dhclient6", DHCLIENT6)
            _write(folder / "dhclient6.conf", "")
            kept = [word for flag, end in (("-cf", "conf"), ("-lf", "leases"), ("-pf", "pid")) for word in (flag, end)]
            files = [f"{folder}/dhclient6.{word}" if not word.startswith("-") else word for word in kept]
            await _ensure(space, ["dhclient", "-6", "-d", "-sf", str(script), *files, device], folder)


def _by_dhcp(port: PortBinding, address: bytes) -> bool:
    """What is not the address that the MAC makes by itself comes by DHCPv6."""
    return len(address) == 16 and address[8:] != link_local_of(port.mac).to_bytes(16)[8:]


async def _listen_to_routers(space: str, device: str) -> None:
    """Linux's own SLAAC, on this interface; before it is up, so that it asks at once."""
    here = f"net.ipv6.conf.{device}"
    settings = [f"{here}.accept_ra=1", f"{here}.autoconf=1", f"{here}.addr_gen_mode=0", f"{here}.use_tempaddr=0"]
    await run([*_inside(space), "sysctl", "-qw", *settings])


async def _ensure(space: str, client: Sequence[str], folder: Path) -> None:
    if shutil.which(client[0], path=PATH) is None:
        raise HypervisorFailure(f"dhcp: true needs {client[0]}: sudo apt-get install {NEEDS[client[0]]}")
    if not await _runs(space, client):
        await asyncio.to_thread(_begin, [*_inside(space), *client], folder / f"{client[0]}.log")


def _begin(command: Sequence[str], log: Path) -> None:
    """It lives for itself. Not by the event loop, whose children inherit its files: that would hold its pipes open."""
    with log.open("ab") as output:
        subprocess.run(
            ["setsid", "--fork", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=True,
            env={**os.environ, "PATH": PATH},
        )


async def _runs(space: str, client: Sequence[str]) -> bool:
    for pid in (await run(["ip", "netns", "pids", space], check=False)).split():
        try:
            said = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:  # it ended meanwhile
            continue
        if said[: len(client)] == list(client):
            return True
    return False


def _inside(space: str) -> list[str]:
    return ["nsenter", f"--net={NETNS / space}", "--"]


def _write(path: Path, text: str) -> Path:
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        path.chmod(0o755)
    return path
