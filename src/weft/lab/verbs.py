"""`weft lab VERB`: the lab's commands. Errors are one plain line with the command that helps, exit code 1."""

import contextlib
import ipaddress
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from weft.agent.programs import PATH
from weft.cli.files import read_stream
from weft.lab import control, hosts, names, pings, up
from weft.lab.commands import check_machine, within
from weft.lab.interrupts import Interrupts, handled
from weft.lab.processes import alive
from weft.lab.state import LabFailure, LabFolder, LabState, labs_folder, locked, open_lab
from weft.model.errors import Invalid, WeftError
from weft.wire.client import DEFAULT_URL

PASS_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}


class _NameAnywhere(TyperGroup):
    """`weft lab up FILE --name x` is `weft lab --name x up FILE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and (verb := self.commands.get(args[0])) is not None:
            # what is passed on are another command's words
            ends = 2 if verb.context_settings == PASS_ON else len(args)
            args = _name_first(args, args.index("--") if "--" in args[:ends] else ends)
        return super().parse_args(ctx, args)


def _name_first(args: list[str], ends: int) -> list[str]:
    """Moves the first `--name` before `ends` to the front, with its value."""
    for at, word in enumerate(args[:ends]):
        after = at + 1 + (word == "--name")
        if (word == "--name" or word.startswith("--name=")) and after <= len(args):
            return [*args[at:after], *args[:at], *args[after:]]
    return args


app = typer.Typer(
    name="lab",
    cls=_NameAnywhere,
    no_args_is_help=True,
    help="A small datacenter in network namespaces: hosts with their own Open vSwitch, guests, a router between.",
)
Part = Annotated[str, typer.Argument(metavar="controller|agent|switch|libvirtd")]
HostName = Annotated[str, typer.Argument(metavar="[HOST]")]
Words = Annotated[list[str], typer.Argument(metavar="-- COMMAND")]


@contextlib.contextmanager
def plainly() -> Iterator[None]:
    """What a person can do about, as one line; anything else is a defect and shows its trace."""
    try:
        yield
    except WeftError as error:
        _tell(error.message, error)
        raise typer.Exit(1) from None
    except KeyboardInterrupt as interrupt:
        _tell("interrupted", interrupt)
        raise typer.Exit(130) from None


def _tell(what: str, error: BaseException) -> None:
    for line in (what, *getattr(error, "__notes__", ())):
        typer.echo(f"weft lab: {line}", err=True)


@app.callback()
def choose(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="Which lab: several can be up beside each other.")] = names.DEFAULT_LAB,
) -> None:
    with plainly():
        context.obj = open_lab(name)


def _lab(context: typer.Context) -> LabFolder:
    found: LabFolder = context.obj
    return found


@contextlib.contextmanager
def _changing(context: typer.Context) -> Iterator[LabFolder]:
    """A verb that changes the lab: on a machine that can, one at a time."""
    interrupts = Interrupts()
    with plainly(), interrupts.heard(signal.SIGINT):
        check_machine()
        lab = _lab(context)
        with locked(labs_folder(), lab.name):
            yield lab
        interrupts.check()


@app.command("up")
def up_(
    context: typer.Context,
    file: Annotated[
        str, typer.Argument(help="YAML: lab/host documents and resources; - for standard input.", show_default=False)
    ] = "",
    same: Annotated[str, typer.Option("-f", "--file", help="The same, as weft apply takes it.")] = "",
    controller: Annotated[str, typer.Option(help="Use this controller (http://... or unix:PATH).")] = "",
) -> None:
    """Make the lab what FILE says; again after a change or a crash.

    Running machines whose interfaces changed are restarted. What is not in FILE is named and left as it is.
    """
    if bool(file) == bool(same):
        raise typer.BadParameter("name one file: weft lab up FILE")
    with _changing(context) as lab:
        up.bring_up(lab, read_stream(file or same), controller, typer.echo)
        state = lab.read()
        typer.echo(f"lab '{lab.name}' is up: {state.url}")
        if not_usual(state):
            typer.echo(
                f"another program has the usual port; for the other commands: export WEFT_CONTROLLER={state.url}"
            )


def not_usual(state: LabState) -> bool:
    """Is the controller of the lab that has no name of its own elsewhere than where all commands look?"""
    return state.name == names.DEFAULT_LAB and state.controller_own and state.url != DEFAULT_URL


@app.command()
def url(context: typer.Context) -> None:
    """Print the controller's URL and nothing else."""
    with plainly():
        typer.echo(_lab(context).read().url)


@app.command()
def ping(
    context: typer.Context,
    machine: Annotated[str, typer.Argument(metavar="VM")],
    address: str,
    count: Annotated[int, typer.Option("-c", min=1, help="How many.")] = 3,
    interval: Annotated[float, typer.Option("-i", min=0.001, help="Seconds between two.")] = 1.0,
) -> None:
    """Ping from inside a machine; exit code 0 when every ping came back. Ctrl-C ends it, and it counts all the same."""
    with plainly():
        check_machine()
        space = up.running(_lab(context), machine)
        _check_address(address)
        sent, received, code = pinged(within(space, pings.command(address, count, interval)), count)
    typer.echo(f"{sent} sent, {received} received")
    raise typer.Exit(code)


def pinged(command: list[str], count: int) -> tuple[int, int, int]:
    """What ping says as it says it; of so many, how many were sent and came back, and the exit code."""
    answers = pings.Answers(count)
    begun: list[subprocess.Popen[str]] = []
    asked: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        """ping itself ends, and says how many came back."""
        asked.append(number)
        for one in begun:
            one.send_signal(signal.SIGINT)

    environment = {**os.environ, "PATH": PATH}
    with (
        handled(pass_on, signal.SIGINT),
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as running,
    ):
        begun.append(running)
        if asked:  # while it began
            running.send_signal(signal.SIGINT)
        for line in running.stdout or ():
            if answers.take(line):
                typer.echo(line, nl=False)
            if answers.complete:
                running.send_signal(signal.SIGINT)
    return answers.sent, answers.received, 0 if answers.complete else 130 if asked else 1


def _check_address(text: str) -> None:
    """Raises Invalid; ping would look a name up, which nobody in a lab knows."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise Invalid(f"'{text}' is no IP address; see whose there are with: weft nic list") from None


@app.command("exec", context_settings=PASS_ON)
def exec_(context: typer.Context, machine: Annotated[str, typer.Argument(metavar="VM")], command: Words) -> None:
    """Run a command inside a machine."""
    with plainly():
        check_machine()
        space = up.running(_lab(context), machine)
    _become(["ip", "netns", "exec", space, *_words(command)], {"PATH": PATH})


@app.command(context_settings=PASS_ON)
def host(context: typer.Context, name: Annotated[str, typer.Argument(metavar="HOST")], command: Words) -> None:
    """Run a command in a host's namespace, where ovs-vsctl finds its switch and virsh its libvirtd."""
    with plainly():
        check_machine()
        lab = _lab(context)
        found = lab.host(name)
    environment = hosts.words_environment(lab, found)
    _become(within(hosts.host_namespace(lab, found), _words(command)), environment)


@app.command("kill")
def kill_(context: typer.Context, part: Part, name: HostName = "") -> None:
    """kill -9 of the controller, or of a host's agent, switch or libvirtd, whose machines run on."""
    with _changing(context) as lab:
        what, target = _target(lab, part, name)
        if what == "controller":
            ended = control.stop_controller(lab)
        else:
            stops = {"agent": hosts.stop_agent, "switch": hosts.stop_switch, "libvirtd": hosts.stop_libvirtd}
            ended = stops[what](lab, lab.host(target))
        typer.echo(f"{what}{f' of {target}' if target else ''}: {'killed' if ended else 'was dead'}")


@app.command()
def start(context: typer.Context, part: Part, name: HostName = "") -> None:
    """Start the controller, or a host's agent, switch or libvirtd, again."""
    with _changing(context) as lab:
        what, target = _target(lab, part, name)
        if what == "controller":
            begun = control.start_controller(lab)
            control.await_ready(lab)
            control.await_agents(lab, [host.name for host in lab.read().hosts.values() if alive(host.agent)])
        elif what == "agent":
            begun = hosts.start_agent(lab, lab.host(target))
            if control.answers(lab.read().url):
                control.await_agents(lab, [lab.host(target).name])
        else:
            begin = hosts.start_switch if what == "switch" else hosts.start_libvirtd
            begun = begin(lab, lab.host(target))
        typer.echo(f"{what}{f' of {target}' if target else ''}: {'started' if begun else 'was running'}")


@app.command("delay-feed")
def delay_feed(context: typer.Context, seconds: Annotated[float, typer.Argument(min=0, max=600)]) -> None:
    """Hold back everything that the controller tells the agents; 0 ends it."""
    with plainly():
        up.delay_feed(_lab(context), seconds)


@app.command()
def status(context: typer.Context) -> None:
    """What is there and whether it runs."""
    with plainly():
        rows = up.summary(_lab(context))
    width = max(len(name) for _, name, _ in rows)
    for kind, name, how in rows:
        typer.echo(f"{kind:<11} {name:<{width}}  {how}")


@app.command()
def down(context: typer.Context) -> None:
    """Take the lab away: processes, namespaces, files."""
    with _changing(context) as lab:
        there = up.bring_down(lab)
        typer.echo(f"lab '{lab.name}': {'gone' if there else 'was not up'}")


def _target(lab: LabFolder, part: str, name: str) -> tuple[str, str]:
    """Raises Invalid with the form to write."""
    if part == "controller" and not name:
        return part, ""
    if part not in ("agent", "switch", "libvirtd") or not name:
        raise Invalid("write: controller, agent HOST, switch HOST or libvirtd HOST")
    found = lab.host(name)
    if part == "libvirtd" and found.hypervisor != "libvirt":
        having = [host.name for host in lab.read().hosts.values() if host.hypervisor == "libvirt"]
        raise Invalid(f"host {found.name} has no libvirtd; with one: {', '.join(having) or 'none'}")
    return part, found.name


def _words(command: list[str]) -> list[str]:
    """click leaves the `--` in where options may be passed on."""
    return command[1:] if command[:1] == ["--"] else command


def _become(command: list[str], environment: dict[str, str]) -> None:
    """Replace this process, so that signals, terminal and exit code are the command's own."""
    merged = {**os.environ, **environment}
    program = next((p for d in PATH.split(os.pathsep) if (p := Path(d) / command[0]).exists()), None)
    if program is None:
        raise LabFailure(f"{command[0]} is not installed")
    os.execve(program, command, merged)
