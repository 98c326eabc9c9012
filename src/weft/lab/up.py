"""Makes a lab what its file says, and takes it away. Both can be run again after a crash at any point."""

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec

from weft.cli.documents import Documents
from weft.cli.plan import Plan, RefusedMoves
from weft.lab import adjust, control, external, hosts, libvirtd, names, namespaces, router
from weft.lab.booted import machines as booted_machines
from weft.lab.booted import with_hardware
from weft.lab.guests import GuestFiles
from weft.lab.legs import ensure_spares
from weft.lab.plan import LabPlan, plan
from weft.lab.processes import Process, alive, boot_id, inside, kill_all, marked, written_down
from weft.lab.state import HostState, LabFailure, LabFolder, LabState
from weft.model.errors import Invalid, NotFound, WeftError

Say = Callable[[str], None]
AT_ONCE = 6
"""Hosts made at the same time."""
DOWN_SECONDS = 60.0
"""Within this, whatever was still being made is found and taken away."""


def bring_up(folder: LabFolder, documents: Documents, controller: str, say: Say, *, start: bool = True) -> None:
    """Everything, in the order that waits least; machines run at the end if `start`.

    The caller holds the lab's lock. Raises what stands in the way, with a note of what becomes of the lab if some of it
    is there by then.
    """
    asked = plan(documents)
    state = _begin(folder, asked, controller)
    try:
        _bring_up(folder, asked, state, say, start)
    except (WeftError, KeyboardInterrupt) as stopped:
        stopped.add_note(
            f"lab '{folder.name}' is only part of what the file says: {folder.command} up FILE goes on with it, "
            f"{folder.command} down takes it away"
        )
        raise


def _bring_up(folder: LabFolder, asked: LabPlan, state: LabState, say: Say, start: bool) -> None:
    if control.start_controller(folder):
        say(f"controller: {folder.read().url}")
    control.start_relay(folder)
    _make_hosts(folder, state, say)
    control.await_ready(folder)
    applied = _apply(folder, asked, say)
    _make_spares(folder, asked)
    started = [host.name for host in state.hosts.values() if hosts.start_agent(folder, folder.host(host.name))]
    control.await_agents(folder, [host.name for host in state.hosts.values()])
    if started:
        say(f"agents connected: {', '.join(started)}")
    if not applied:
        _apply(folder, asked, say, again=True)
    if start:
        _settle(folder, asked, say)


def _apply(folder: LabFolder, asked: LabPlan, say: Say, again: bool = False) -> bool:
    """As `weft apply`. False if running machines could not move: perhaps their agents do not run yet."""
    try:
        done = _apply_all(folder, asked)
    except RefusedMoves:
        if again:
            raise
        return False
    if done.work:
        counts = {"created": done.count("create"), "changed": done.count("change"), "moved": done.count("move")}
        say(f"applied: {', '.join(f'{n} {word}' for word, n in counts.items() if n or word != 'moved')}")
    return True


def _apply_all(folder: LabFolder, asked: LabPlan) -> Plan:
    """Machines that are booted come last: their kernels are told the addresses that were granted."""
    booted = booted_machines(asked.resources, asked.booting)
    if not booted:
        return control.apply_resources(folder, asked.resources)
    others = [resource for resource in asked.resources if resource not in booted]
    first = control.apply_resources(folder, others)
    second = control.apply_resources(folder, [*others, *with_hardware(folder, booted, asked.dhcp)])
    return Plan((*first.work, *second.work), second.done)


def _settle(folder: LabFolder, asked: LabPlan, say: Say) -> None:
    """Machines run as the file says; whatever else is there is named."""
    if stopped := adjust.stop_off(folder, asked.off):
        say(f"machines stopped, since the file says Off: {', '.join(stopped)}")
    if restarted := adjust.restart_changed(folder):
        say(f"machines restarted, since their interfaces changed: {', '.join(restarted)}")
    if machines := control.start_machines(folder, asked.running):
        say(f"machines running: {', '.join(machines)}")
    if text := adjust.absent(folder, asked).text(folder.name):
        say(text)


def bring_down(folder: LabFolder) -> bool:
    """Whoever makes things first, then what is there, then the folder. True if there was anything.

    Looks again until nothing is left: a command may have been under way. Raises LabFailure if something stays.
    """
    there = folder.path.exists()
    until = time.monotonic() + DOWN_SECONDS
    while True:
        makers = _end_makers(folder)
        spaces = namespaces.of_lab(folder.name)
        there = there or bool(spaces)
        kill_all(inside(spaces))
        # guests and the plugs before the hosts: deleting a namespace takes its cables' other ends along
        with ThreadPoolExecutor(AT_ONCE) as workers:
            list(workers.map(namespaces.delete, spaces))
        if not makers and not spaces:
            break
        if time.monotonic() > until:
            raise LabFailure(f"Lab '{folder.name}' does not go away: namespaces {spaces}, processes {makers} are left")
    folder.remove()
    return there


def _end_makers(folder: LabFolder) -> list[int]:
    """End every process of the lab outside its guests; the PIDs of those that ran."""
    found: list[Process | None] = []
    with contextlib.suppress(WeftError):  # no or unreadable state: what carries the mark goes all the same
        state = folder.read()
        # agents first: they would make guests anew
        found += [host.agent for host in state.hosts.values()]
        found += [state.controller, state.relay]
        found += [one for host in state.hosts.values() for one in (host.libvirtd, host.switch, host.database)]
    # started by one who was killed before he could note it, and commands that an agent has under way
    found += [written_down(log) for log in (folder.path / "log").glob("*.log")]
    found += marked(folder.path)
    return [process.pid for process in kill_all(dict.fromkeys(found))]


def delay_feed(folder: LabFolder, seconds: float) -> None:
    folder.read()
    folder.delay.write_text(f"{seconds}\n")


def running(folder: LabFolder, machine: str) -> str:
    """Namespace of a machine that runs, or of what is outside. Raises NotFound, saying what there is, and Invalid for a
    machine that is booted."""
    for one in folder.read().externals:
        if one.name.lower() == machine.lower():
            return names.namespace(folder.name, one.name)
    files = GuestFiles(folder.guests)
    guest = files.read(machine)
    if guest is not None and guest.running and namespaces.exists(guest.namespace):
        return guest.namespace
    known = ", ".join(other.machine for other in files.all() if other.running) or "none"
    booted = {name.lower(): host for name, host in _booted(folder)}
    if host := booted.get(machine.lower()):
        raise Invalid(
            f"Machine '{machine}' is booted by the libvirtd of {host}, and nothing can be run inside of it from here; "
            f"machines that are namespaces: {known}."
        )
    raise NotFound(f"Machine '{machine}' does not run in lab '{folder.name}'; running: {known}.")


def _booted(folder: LabFolder) -> Iterator[tuple[str, str]]:
    """Machines that a libvirtd runs, and its host."""
    for host in folder.read().hosts.values():
        known = libvirtd.machines(hosts.libvirt_daemon(folder, host)) if alive(host.libvirtd) else {}
        yield from ((name, host.name) for name, up in known.items() if up)


def _begin(folder: LabFolder, asked: LabPlan, controller: str) -> LabState:
    """The state with the file's hosts in it, written before any of them is made."""
    if not folder.exists():
        folder.create()
    if folder.read().boot != boot_id():  # the machine was booted since: nothing of it is left but files
        folder.change(lambda old: LabState(name=old.name, boot=boot_id(), url=old.url, hosts=_unmade(old)))

    def begin(old: LabState) -> LabState:
        present = dict(old.hosts)
        for host in asked.hosts:
            present[host.name.lower()] = _merge(old, present, host)
        if not controller:
            return msgspec.structs.replace(old, hosts=present, externals=asked.externals, dhcp=asked.dhcp)
        return msgspec.structs.replace(
            old,
            hosts=present,
            controller_own=False,
            url=controller,
            controller_target=controller,
            externals=asked.externals,
            dhcp=asked.dhcp,
        )

    return folder.change(begin)


def _merge(old: LabState, present: dict[str, HostState], asked: HostState) -> HostState:
    """A host that is there keeps its number and processes; another address would need it made anew."""
    if (host := present.get(asked.name.lower())) is None:
        taken = {other.number for other in present.values()}
        return msgspec.structs.replace(asked, number=next(n for n in range(len(taken) + 1) if n not in taken))
    if _place(host) != _place(asked):
        raise LabFailure(
            f"Host {host.name} is up with {_place(host)}, the file says {_place(asked)}: "
            f"{names.command(old.name)} down first"
        )
    return host


def _place(host: HostState) -> str:
    gateway = f" by {host.gateway}" if host.gateway else ""
    return f"{host.provider_address}{gateway}{' and libvirt' if host.hypervisor == 'libvirt' else ''}"


def _unmade(state: LabState) -> dict[str, HostState]:
    return {
        name: HostState(host.name, host.number, host.provider_address, host.gateway, hypervisor=host.hypervisor)
        for name, host in state.hosts.items()
    }


def _make_hosts(folder: LabFolder, state: LabState, say: Say) -> None:
    router.ensure_router(state)
    router.ensure_plug_space(folder.name)
    with ThreadPoolExecutor(AT_ONCE) as workers:
        made = workers.map(lambda name: (name, hosts.ensure_host(folder, state, name)), state.hosts)
        fresh = [state.hosts[name].name for name, new in made if new]
    if fresh:
        say(f"hosts with Open vSwitch: {', '.join(fresh)}")
    outside = [one.name for one in state.externals if external.ensure_external(folder, state, one)]
    if outside:
        say(f"outside: {', '.join(outside)}")


def _make_spares(folder: LabFolder, asked: LabPlan) -> None:
    """Legs on every host for the machines of the file, so that one that moves there touches no link (see legs.py)."""
    state = folder.read()
    with ThreadPoolExecutor(AT_ONCE) as workers:
        plugged = [host for host in state.hosts.values() if host.hypervisor == "lab"]
        list(workers.map(lambda host: ensure_spares(folder, host, asked.legs_on(host.name)), plugged))


def summary(folder: LabFolder) -> list[tuple[str, str, str]]:
    """(what, name, how it is) of everything in the lab; of what is dead also what brings it back."""
    state = folder.read()

    def word(up: bool, again: str) -> str:
        return "running" if up else f"dead ({folder.command} {again})"

    rows = []
    answers = alive(state.controller) if state.controller_own else control.answers(state.url)
    rows.append(("controller", state.url, word(answers, "start controller")))
    rows.append(("relay", str(folder.feed_socket), word(alive(state.relay), "up FILE")))
    for host in state.hosts.values():
        switch = word(alive(host.switch) and alive(host.database), f"start switch {host.name}")
        how = f"{host.provider_address}, switch {switch}, agent {word(alive(host.agent), f'start agent {host.name}')}"
        if host.hypervisor == "libvirt":
            how += f", libvirtd {word(alive(host.libvirtd), f'start libvirtd {host.name}')}"
        rows.append(("host", host.name, how))
    for one in state.externals:
        rows.append(("external", one.name, f"{one.address}{f' in VLAN {one.vlan}' if one.vlan else ''}"))
    for guest in GuestFiles(folder.guests).all():
        up = guest.running and namespaces.exists(guest.namespace)
        rows.append(("machine", guest.machine, f"running on {guest.host}" if up else "off"))
    for host in state.hosts.values():
        known = libvirtd.machines(hosts.libvirt_daemon(folder, host)) if alive(host.libvirtd) else {}
        for machine, up in sorted(known.items()):
            rows.append(("machine", machine, f"booted on {host.name}" if up else f"off, defined on {host.name}"))
    return rows
