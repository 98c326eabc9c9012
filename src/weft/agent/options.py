"""What may be said to `weft agent`, each with its help; defaults stand where it is declared. Read by __main__."""

from pathlib import Path
from typing import Annotated

import typer

Controller = Annotated[str, typer.Option(metavar="URL", help="http://HOST:PORT, https://HOST:PORT or unix:PATH.")]
Server = Annotated[str, typer.Option(metavar="NAME", help="Resource id of this host's server.")]
Driver = Annotated[
    str, typer.Option(metavar="ovs|hyperv", help="This host's Open vSwitch, or a Hyper-V host from beside.")
]
Rundir = Annotated[Path, typer.Option(metavar="DIR", help="Open vSwitch's run folder.")]
State = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Where the last policy is kept; by default /var/lib/weft/agent, with hyperv agents/NAME beside it.",
    ),
]
Bridge = Annotated[str, typer.Option(help="Integration bridge.")]
Hypervisor = Annotated[
    str, typer.Option(metavar="KIND:WHERE", help="libvirt:URI (qemu:///system if left out), lab:FOLDER, or none.")
]
MigrateUri = Annotated[
    str, typer.Option(metavar="URI", help="How this host's libvirtd reaches another one, by its {address}.")
]
SharedDisks = Annotated[
    bool, typer.Option("--shared-disks", help="Disks are on storage that all hosts share, as libvirt may not see.")
]
StartGrace = Annotated[
    float,
    typer.Option(metavar="SECONDS", min=0, help="So long no remembered machine starts without the controller."),
]
Host = Annotated[
    str, typer.Option(metavar="NAME[:PORT]", help="hyperv: where its WinRM listens; by default the server's name.")
]
Adapter = Annotated[
    str, typer.Option(metavar="NAME", help="hyperv: the host's network adapter that carries the tunnels.")
]
Hnv = Annotated[
    str, typer.Option(metavar="v1|v2", help="hyperv: all records of network virtualization, or port profiles only.")
]
Authentication = Annotated[str, typer.Option(metavar="HOW", help="hyperv: negotiate, kerberos or certificate.")]
Credentials = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="hyperv: lines such as user=..., for its owner alone; else WEFT_HYPERV_*."),
]
Authorities = Annotated[
    str, typer.Option(metavar="FILE", help="hyperv: PEM file of those who may vouch for the host's certificate.")
]
Verify = Annotated[bool, typer.Option(help="hyperv: check the host's certificate.")]
Sessions = Annotated[int, typer.Option(min=2, help="hyperv: how many scripts run on the host at once.")]
OuterBridge = Annotated[
    str,
    typer.Option("--outer-bridge", help="Bridge with the physical adapter; gateways' outer legs."),
]
ProviderInterface = Annotated[
    str,
    typer.Option(
        "--provider-interface",
        metavar="NAME",
        help="Interface that carries the provider network, for a host that has no provider address of its operator's.",
    ),
]
Edges = Annotated[
    str, typer.Option(metavar="PREFIX", help="What the names of a gateway's network namespaces begin with.")
]
Verbose = Annotated[bool, typer.Option(help="Log what is asked of switch and hypervisor.")]
