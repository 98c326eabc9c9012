"""The `weft` command: joins what the rooms offer. The one place that makes the clock, the randomness and the ids.

Only what the first word on the command line needs is imported: a person waits for `weft get`, and many agents start at
once on one machine. What takes long is imported where it is called.
"""

import asyncio
import gc
import logging
import os
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weft import __version__
from weft.agent import options
from weft.model.errors import Invalid, WeftError

if TYPE_CHECKING:
    from weft.agent.hyperv.psrp import Endpoint
    from weft.agent.hypervisors import Hypervisor
    from weft.agent.run import AgentOptions

service = typer.Typer()
"""What runs for long, and the version."""
SERVICE = ("serve", "agent", "version")
agents = typer.Typer(invoke_without_command=True)
service.add_typer(agents, name="agent")


class SystemClock:
    """The machine's clocks."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()


def guids() -> Iterator[str]:
    """GUIDs in lower case (RFC 9562, version 4). By hand: uuid4 is many times slower, and a grant takes three."""
    while True:
        random = os.urandom(4096).hex()
        for at in range(0, len(random), 32):
            variant = "89ab"[int(random[at + 16], 16) & 3]
            yield (
                f"{random[at : at + 8]}-{random[at + 8 : at + 12]}-4{random[at + 13 : at + 16]}"
                f"-{variant}{random[at + 17 : at + 20]}-{random[at + 20 : at + 32]}"
            )


_guids = guids()


def new_id() -> str:
    """A fresh GUID in lower case."""
    return next(_guids)


def _log_to_stderr(verbose: bool) -> None:
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


@service.command()
def version() -> None:
    """Print the version.

    \b
    weft version
    """
    typer.echo(f"weft {__version__}")


def _say_version(asked: bool) -> None:
    if asked:
        version()
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", is_eager=True, callback=_say_version, help="Print the version.")]


def _whole(version: Version = False) -> None:
    pass


@service.command()
def serve(
    data: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the embedded store; made if it is not there.")],
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Loopback only, as long as there is no certificate.")
    ] = "127.0.0.1:8470",
    keep_history: Annotated[
        int, typer.Option(metavar="DAYS", min=0, help="Forget what happened to addresses longer ago; 0 keeps it all.")
    ] = 0,
    verbose: Annotated[bool, typer.Option(help="Log every agent's comings and goings.")] = False,
) -> None:
    """Run the controller: API, address ledger, policy and feed, on an embedded store.

    \b
    weft serve --data /var/lib/weft
    """
    _log_to_stderr(verbose)
    _run(_serve(data, listen, keep_history))


async def _serve(data: Path, listen: str, keep_history: int) -> None:
    from weft.api.serve import Listen
    from weft.api.serve import serve as listen_and_serve
    from weft.control.controller import Controller
    from weft.store.store import Retention

    keep = Retention(history_s=keep_history * 86_400.0 or None)
    try:
        controller = Controller.open(data, SystemClock(), new_id, keep)
    except OSError as error:
        raise Invalid(
            f"--data {data}: {error.strerror or error}. Name a folder of your own on a local disk; it is made if its "
            "parent can be written.",
            target="data",
        ) from error
    # resources and leases have no cycles: looking for some in all of them, again and again, took a third of a bulk load
    gc.set_threshold(100_000, 50, 1000)
    try:
        async with controller.running():
            await listen_and_serve(controller, Listen(listen, data / "weft.sock"), new_id, typer.echo)
    finally:
        controller.close()


@agents.callback()
def agent(
    ctx: typer.Context,
    controller: options.Controller = "",
    server: options.Server = "",
    driver: options.Driver = "ovs",
    rundir: options.Rundir = Path("/var/run/openvswitch"),
    state: options.State = None,
    bridge: options.Bridge = "br-int",
    hypervisor: options.Hypervisor = "",
    migrate_uri: options.MigrateUri = "qemu+tls://{address}/system",
    shared_disks: options.SharedDisks = False,
    start_grace: options.StartGrace = 20.0,
    host: options.Host = "",
    adapter: options.Adapter = "Ethernet",
    hnv: options.Hnv = "v1",
    authentication: options.Authentication = "negotiate",
    credentials: options.Credentials = None,
    authorities: options.Authorities = "",
    verify: options.Verify = True,
    sessions: options.Sessions = 3,
    outer_bridge: options.OuterBridge = "br-phy",
    edges: options.Edges = "weft-edge-",
    provider_interface: options.ProviderInterface = "",
    verbose: options.Verbose = False,
) -> None:
    """Run the agent of a host: make its Open vSwitch, or its Hyper-V, match the policy.

    \b
    weft agent --controller http://127.0.0.1:8470 --server host1
    weft agent --controller http://127.0.0.1:8470 --server hv1 --driver hyperv --host hv1.example.com
    """
    if ctx.invoked_subcommand is not None:
        return
    for name, value in (("--controller", controller), ("--server", server)):
        if not value:
            ctx.fail(f"Missing option '{name}'.")
    from weft.agent.hyperv.psrp import Endpoint
    from weft.agent.link import RefusedByController
    from weft.agent.run import REFUSED_EXIT_CODE, AgentOptions
    from weft.agent.run import run as run_agent

    _log_to_stderr(verbose)
    kind, _, where = hypervisor.partition(":")
    work: Coroutine[Any, Any, None]
    if driver == "hyperv":
        place = state or Path("/var/lib/weft/agents", server)
        chosen = AgentOptions(controller, server, rundir, place, bridge, driver, start_grace)
        name, _, port = (host or server).partition(":")
        endpoint = Endpoint(name, int(port or 5986), authentication, verify, authorities, sessions)
        if hnv not in ("v1", "v2"):
            raise typer.BadParameter(f"there is no version '{hnv}' of network virtualization: use v1 or v2")
        work = _hyperv(chosen, endpoint, credentials, adapter if hnv == "v1" else "")
    elif driver == "ovs":
        where_kept = state or Path("/var/lib/weft/agent")
        how = (bridge, kind, start_grace, outer_bridge, edges, provider_interface)
        chosen = AgentOptions(controller, server, rundir, where_kept, *how)
        libvirt = _libvirt(where, chosen, migrate_uri, shared_disks) if kind == "libvirt" else None
        work = run_agent(chosen, new_id(), SystemClock().monotonic, libvirt or _hypervisor(kind, where, server))
    else:
        raise typer.BadParameter(f"there is no driver '{driver}': use ovs or hyperv")
    try:
        _run(work)
    except RefusedByController as refused:
        typer.echo(f"weft: the controller refuses this agent: {refused}", err=True)
        raise SystemExit(REFUSED_EXIT_CODE) from None


async def _hyperv(chosen: "AgentOptions", endpoint: "Endpoint", credentials: Path | None, adapter: str) -> None:
    from weft.agent.hyperv.credentials import read_credentials
    from weft.agent.hyperv.run import run

    await run(chosen, new_id(), endpoint, read_credentials(os.environ, credentials), adapter)


LIBVIRT_HOOKS = Path("/etc/libvirt/hooks")
Hooks = Annotated[
    Path | None,
    typer.Option(
        "--hooks",
        metavar="DIR",
        envvar="WEFT_LIBVIRT_HOOKS",
        show_default=f"{LIBVIRT_HOOKS}",
        help="libvirt's folder of hooks.",
    ),
]
State = Annotated[
    Path,
    typer.Option("--state", metavar="DIR", envvar="WEFT_AGENT_STATE", help="The agent's own, where it is to be asked."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


@agents.command()
def install(hooks: Hooks = None, state: State = Path("/var/lib/weft/agent"), dry_run: DryRun = False) -> None:
    """Let libvirt ask the agent of this host before a machine starts.

    \b
    weft agent install --dry-run
    """
    from weft.agent.install import install as put

    _say(lambda: put(_hooks(hooks), state, sys.executable, dry_run))


@agents.command()
def uninstall(hooks: Hooks = None, dry_run: DryRun = False) -> None:
    """Take libvirt's hook away again.

    \b
    weft agent uninstall
    """
    from weft.agent.install import uninstall as take_away

    _say(lambda: take_away(_hooks(hooks), dry_run))


def _hooks(given: Path | None) -> Path:
    """libvirt's folder of hooks; a lab's host has one of its own, or none. Raises Invalid."""
    host = os.environ.get("WEFT_LAB_HOST")
    if given is None and host:
        raise Invalid(
            f"{host} is a host of a lab and has no libvirt of its own, and {LIBVIRT_HOOKS} is this machine's: run it "
            "outside of the lab, or name that folder with --hooks.",
            target="hooks",
        )
    return given or LIBVIRT_HOOKS


def _say(work: Callable[[], list[str]]) -> None:
    try:
        for line in work():
            typer.echo(line)
    except WeftError as failure:
        typer.echo(f"weft: {failure.code}: {failure.message}", err=True)
        raise SystemExit(1) from None


def _hypervisor(kind: str, where: str, server: str) -> "Hypervisor | None":
    if not kind:
        return None
    if kind != "lab":
        raise typer.BadParameter(f"there is no hypervisor driver '{kind}': use libvirt:URI, lab:FOLDER, or none")
    from weft.lab.hypervisor import open_hypervisor

    return open_hypervisor(where, server)


def _libvirt(uri: str, chosen: "AgentOptions", migrate_uri: str, shared_disks: bool) -> "Hypervisor":
    try:
        from weft.agent.libvirt.driver import open_hypervisor
        from weft.agent.libvirt.host import Settings
    except ImportError as error:
        raise typer.BadParameter(
            f"{error}: the libvirt driver needs libvirt-python; install libvirt-dev and pip install 'weft[libvirt]'"
        ) from None
    settings = Settings(chosen.server, chosen.bridge, migrate_uri, shared_disks, str(chosen.rundir))
    return open_hypervisor(uri or "qemu:///system", settings, new_id, SystemClock().monotonic)


def _quick_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it exists: it answers about twice as many requests a second."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run to its end; what a person can mend is one line and exit code 1, Ctrl-C is quiet."""
    try:
        with asyncio.Runner(loop_factory=_quick_loop()) as runner:
            runner.run(work)
    except WeftError as failure:
        typer.echo(f"weft: {failure.code}: {failure.message}", err=True)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def commands(first: str = "") -> typer.Typer:
    """The commands that may begin with this word; all of them if it is none of those that start alone."""
    alone = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
    if first in SERVICE:
        alone.add_typer(service)
        return alone
    from weft.lab.verbs import app as lab

    if first == "lab":
        alone.add_typer(lab, name="lab")
        return alone
    from weft.cli.commands import app
    from weft.lab.demo import demo_app as demo
    from weft.sim.commands import app as simulate

    whole = typer.Typer(help=app.info.help, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
    whole.callback()(_whole)
    whole.add_typer(service)
    whole.add_typer(app)
    whole.add_typer(lab, name="lab")
    whole.add_typer(demo, name="demo")
    whole.add_typer(simulate)
    return whole


def main() -> None:
    """Entry point of the `weft` script."""
    from weft.cli.desk import Desk

    try:
        app = commands(sys.argv[1] if len(sys.argv) > 1 else "")
    except KeyboardInterrupt:  # while the modules are still read
        raise SystemExit(130) from None
    app(prog_name="weft", obj=Desk(new_id, wall=time.time))


if __name__ == "__main__":
    main()
