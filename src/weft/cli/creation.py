"""`weft vm create`: a machine as a whole, and what is waited for meanwhile."""

import asyncio
import enum
import re
import sys
from typing import Annotated, Any

import msgspec
import typer

from weft.cli import complete
from weft.cli.actions import Ask, DryRun, print_answer
from weft.cli.desk import EPILOG, Controller, Misuse, run
from weft.cli.names import last_of, machine_ref, read_mac, server_ref, subnet_ref
from weft.cli.show import Format, Output
from weft.model.errors import WeftError
from weft.model.kinds import VIRTUAL_MACHINES
from weft.model.values import mac_dashes
from weft.wire.client import WEFT, Client, path_of

app = typer.Typer()

LOOK_SECONDS = 0.5
WORDS = {
    "defining": "its addresses are granted; its host defines it",
    "starting": "it is there as it should be; its ports are bound and it starts",
    "undoing": "it cannot be: it is removed again",
}
_UNITS = {"": 1 / 1024, "m": 1 / 1024, "mib": 1 / 1024, "g": 1, "gib": 1, "t": 1024, "tib": 1024}
"""GiB per unit; a bare number counts MiB of memory."""


class Strategy(enum.StrEnum):
    central = "central"
    host_range = "hostRange"
    random = "random"


class Hardware(msgspec.Struct):
    """What is asked for beside networks."""

    members: dict[str, Any]

    @classmethod
    def of(cls, **members: Any) -> "Hardware":
        return cls({name: value for name, value in members.items() if value})


New = Annotated[str, typer.Argument(help="A new name.")]
Networks = Annotated[
    list[str] | None,
    typer.Option(
        "--network",
        "--subnet",
        metavar="NETWORK/SUBNET",
        help="An adapter; may repeat.",
        autocompletion=complete.subnets,
    ),
]
Ips = Annotated[list[str] | None, typer.Option("--ip", help="Of the same adapter, in order; - to grant.")]
Macs = Annotated[list[str] | None, typer.Option("--mac", help="Of the same adapter, in order; - to grant.")]
Server = Annotated[str, typer.Option("--server", metavar="HOST", help="Where.", autocompletion=complete.servers)]
Cluster = Annotated[str, typer.Option("--cluster", help="Or on the freest of its servers.")]
Cpu = Annotated[int | None, typer.Option("--cpu", min=1, help="Processors; 1.", show_default=False)]
Memory = Annotated[str, typer.Option("--memory", help="4GiB, 512MiB; 1GiB.", show_default=False)]
Disks = Annotated[
    list[str] | None,
    typer.Option("--disk", metavar="PATH[,size=20GiB][,source=PATH]", help="A file on the host; may repeat."),
]
From = Annotated[Strategy, typer.Option("--strategy", help="Where MAC addresses come from.")]
Switch = Annotated[str, typer.Option("--switch", help="Bridge or virtual switch; else the host's own.")]
Kernel = Annotated[str, typer.Option("--kernel", metavar="PATH", help="Boot this file of the host.")]
Initrd = Annotated[str, typer.Option("--initrd", metavar="PATH")]
KernelArguments = Annotated[str, typer.Option("--kernel-arguments", metavar="TEXT")]
Generation = Annotated[int, typer.Option("--generation", help="1 or 2 (Hyper-V); 2.", show_default=False)]
Folder = Annotated[str, typer.Option("--path", metavar="FOLDER", help="For its files (Hyper-V).")]
NoStart = Annotated[bool, typer.Option("--no-start", help="Only make it.")]


@app.command("create", epilog=EPILOG)
def create(
    ctx: typer.Context,
    name: New,
    network: Networks = None,
    ip: Ips = None,
    mac: Macs = None,
    server: Server = "",
    cluster: Cluster = "",
    cpu: Cpu = None,
    memory: Memory = "",
    disk: Disks = None,
    strategy: From = Strategy.central,
    switch: Switch = "",
    kernel: Kernel = "",
    initrd: Initrd = "",
    kernel_arguments: KernelArguments = "",
    generation: Generation = 0,
    path: Folder = "",
    no_start: NoStart = False,
    dry_run: DryRun = False,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Make a machine: its addresses, the machine on its host's hypervisor, its ports; and start it; or none.

    \b
    weft vm create web1 --server host1 --cpu 4 --memory 4GiB --disk /vm/web1.qcow2,size=20GiB --network blue/web
    weft vm create web2 --cluster c1 --network blue/web --ip 10.1.1.20 --network blue/db --strategy random --no-start
    """
    ask = Ask(output, controller, dry_run)

    async def work(client: Client) -> None:
        body: dict[str, Any] = {"resourceId": name, "start": not no_start, **_place(server, cluster)}
        body["networks"] = _adapters(network or [], ip or [], mac or [], strategy)
        boot = {"kernel": kernel, "initrd": initrd, "kernelArguments": kernel_arguments, "generation": generation}
        made_of = {"cpu": cpu, "memoryMiB": _mebibytes(memory), "switch": switch, "path": path, **boot}
        hardware = Hardware.of(disks=[_disk(each) for each in disk or ()], **made_of)
        print_answer(VIRTUAL_MACHINES, await _make(client, body | hardware.members, ask), ask)

    run(ctx, controller, work)


async def _make(client: Client, body: dict[str, Any], ask: Ask) -> Any:
    """The answer; on the way each phase is told once on standard error."""
    making = asyncio.ensure_future(client.post(f"{WEFT}/virtualMachines", body, ask.write))
    said, name = "", last_of(body["resourceId"])
    try:
        while not ask.dry_run:
            done, _ = await asyncio.wait({making}, timeout=LOOK_SECONDS)
            if done:
                break
            phase = await _phase(client, body["resourceId"])
            if phase != said and phase in WORDS:
                print(f"{name}: {WORDS[phase]}", file=sys.stderr)
                said = phase
        return (await making).body
    except asyncio.CancelledError:
        if said:
            print(f"{name}: the controller goes on with it; the same command waits for it again", file=sys.stderr)
        raise
    finally:
        making.cancel()


async def _phase(client: Client, name: str) -> str:
    try:
        found = await client.get(path_of(machine_ref(name)))
    except WeftError:
        # it is not there yet, or cannot be asked: the answer will say
        return ""
    return str((found["properties"].get("creation") or {}).get("phase", ""))


def _place(server: str, cluster: str) -> dict[str, Any]:
    if bool(server) == bool(cluster):
        raise Misuse("name the server with --server HOST, or a cluster with --cluster NAME; see: weft vm create --help")
    return {"server": server_ref(server)} if server else {"cluster": f"/weft/clusters/{last_of(cluster)}"}


def _adapters(networks: list[str], ips: list[str], macs: list[str], strategy: Strategy) -> list[dict[str, Any]]:
    """The first --ip and --mac are the first --network's. Raises Misuse."""
    for option, given in (("--ip", ips), ("--mac", macs)):
        if len(given) > len(networks):
            raise Misuse(f"{option} is given {len(given)} times for {len(networks)} --network: each is of one adapter")
    found = []
    for at, network in enumerate(networks):
        one: dict[str, Any] = {"subnet": subnet_ref(network)}
        if at < len(ips) and ips[at] != "-":
            one["privateIPAddress"] = ips[at]
        if at < len(macs) and macs[at] != "-":
            one["privateMacAddress"] = mac_dashes(read_mac(macs[at]))
        elif strategy is not Strategy.central:
            one["strategy"] = strategy.value
        found.append(one)
    return found


def _size(text: str) -> float:
    """In GiB. Raises Misuse."""
    match = re.fullmatch(r"(\d+)\s*([A-Za-z]*)", text.strip())
    if match is None or match[2].lower() not in _UNITS:
        raise Misuse(f"'{text}' is no size; write 20GiB or 512MiB")
    return int(match[1]) * _UNITS[match[2].lower()]


def _mebibytes(text: str) -> int:
    if not text:
        return 0
    size = round(_size(text) * 1024)
    if not size:
        raise Misuse(f"--memory {text}: a machine needs some; write 4GiB or 512MiB")
    return size


def _disk(text: str) -> dict[str, Any]:
    """`PATH,size=20GiB,source=PATH`. Raises Misuse."""
    path, *rest = text.split(",")
    found: dict[str, Any] = {"path": path}
    for part in rest:
        key, _, value = part.partition("=")
        if key == "size" and value:
            size = _size(value)
            if size != int(size) or value.strip().isdecimal():
                raise Misuse(f"'{part}': a disk's size is in whole GiB, such as size=20GiB")
            found["sizeGib"] = int(size)
        elif key == "source" and value:
            found["source"] = value
        else:
            raise Misuse(f"--disk {text}: '{part}' is neither size=20GiB nor source=PATH")
    return found
