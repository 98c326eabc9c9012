"""One host of the lab: a namespace with a cable, its own Open vSwitch and its agent. Every step is idempotent.

The switch is Open vSwitch's userspace datapath: br-phy holds the cable and, on its internal port, the provider address;
br-int holds the guests' ports and is programmed by the agent alone.
"""

import ipaddress
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from weft.agent.programs import PATH
from weft.lab import libvirtd, names, namespaces, router
from weft.lab.commands import ip_batch, run, sysctl, within
from weft.lab.processes import alive, is_listening, kill, kill_all, spawn, written_down
from weft.lab.state import HostState, LabFailure, LabFolder, LabState

SCHEMAS = ("/usr/share/openvswitch/vswitch.ovsschema", "/usr/local/share/openvswitch/vswitch.ovsschema")
SETTINGS: dict[str, str | int] = {
    # the kernel sees every frame that the switch reads from a veth: it must answer none of them
    "net.ipv4.conf.all.rp_filter": 1,
    "net.ipv4.conf.default.rp_filter": 1,
    "net.ipv4.conf.all.arp_ignore": 1,
    "net.ipv4.conf.default.arp_ignore": 1,
    "net.ipv6.conf.default.disable_ipv6": 1,
    "net.ipv6.conf.default.accept_dad": 0,
    # The memory of a guest that moves comes by the same cable. What its sender may send at once must fit into the
    # 208 KiB in which the kernel keeps frames for the switch: else guests' packets are lost in that queue with it.
    "net.ipv4.tcp_rmem": "4096 65536 131072",
}
START_SECONDS = 60.0


def host_namespace(folder: LabFolder, host: HostState) -> str:
    return names.namespace(folder.name, host.name)


def switch_environment(rundir: Path) -> dict[str, str]:
    """What ovs-vsctl, ovs-ofctl and ovs-appctl need to find this host's switch."""
    where = str(rundir)
    return {"OVS_RUNDIR": where, "OVS_DBDIR": where, "OVS_LOGDIR": where, "PATH": PATH}


def words_environment(folder: LabFolder, host: HostState) -> dict[str, str]:
    """The same, and what virsh and `weft agent install` need to find this host's libvirt, and no other."""
    environment = {**switch_environment(folder.rundir(host)), "WEFT_LAB_HOST": host.name}
    if host.hypervisor == "libvirt":
        daemon = libvirt_daemon(folder, host)
        environment |= {
            "LIBVIRT_DEFAULT_URI": daemon.uri,
            "WEFT_LIBVIRT_HOOKS": str(daemon.hooks),
            "WEFT_AGENT_STATE": str(folder.agent_folder(host)),
        }
    return environment


def ensure_host(folder: LabFolder, state: LabState, name: str) -> bool:
    """Namespace, cable and running switch. True if anything had to be made."""
    host = state.hosts[name]
    space = host_namespace(folder, host)
    made = namespaces.make(folder.name, space, SETTINGS)
    if made or not host.made:
        stop_switch(folder, host)
        shutil.rmtree(folder.rundir(host), ignore_errors=True)
        router.plug_in(state, host, space)
        ip_batch(space, [f"link set dev {names.NIC} arp off up"])
        host = folder.change_host(name, lambda old: msgspec.structs.replace(old, made=True))
        made = True
    made = start_switch(folder, host) or made
    if host.hypervisor == "libvirt":
        made = start_libvirtd(folder, folder.host(name)) or made
    return made


def start_switch(folder: LabFolder, host: HostState) -> bool:
    """Database, daemon, bridges and provider address. False if all of it was there already."""
    rundir, space = folder.rundir(host), host_namespace(folder, host)
    if alive(host.database) and alive(host.switch) and _has_provider_address(space, host):
        return False
    stop_switch(folder, host)
    rundir.mkdir(parents=True, exist_ok=True)
    (rundir / "vswitchd.ctl").unlink(missing_ok=True)
    start_database(folder, host)
    _vsctl(rundir, _bridges(host), wait=False)
    command = ["ovs-vswitchd", f"unix:{rundir}/db.sock", f"--unixctl={rundir}/vswitchd.ctl", "--disable-system"]
    command += ["-vconsole:info", "-vsyslog:off", f"--pidfile={rundir}/ovs-vswitchd.pid"]
    switch = spawn(within(space, command), rundir / "vswitchd.log", switch_environment(rundir))
    folder.change_host(host.name, lambda old: msgspec.structs.replace(old, switch=switch))
    _name_control_socket(rundir, switch.pid)
    _await(lambda: is_listening(rundir / "vswitchd.ctl"), f"{host.name}: ovs-vswitchd", rundir / "vswitchd.log")
    _vsctl(rundir, ["set", "Open_vSwitch", ".", f"external_ids:weft-lab={folder.name}"], wait=True)
    _give_provider_address(space, host)
    return True


def start_database(folder: LabFolder, host: HostState) -> None:
    """The host's ovsdb-server alone, which must not run."""
    rundir = folder.rundir(host)
    (rundir / "db.sock").unlink(missing_ok=True)
    if not (rundir / "conf.db").exists():
        run(["ovsdb-tool", "create", str(rundir / "conf.db"), _schema()])
    command = ["ovsdb-server", f"{rundir}/conf.db", f"--remote=punix:{rundir}/db.sock", f"--unixctl={rundir}/ovsdb.ctl"]
    command = within(host_namespace(folder, host), [*command, "-vconsole:warn", "-vsyslog:off"])
    database = spawn(command, rundir / "ovsdb.log", switch_environment(rundir))
    folder.change_host(host.name, lambda old: msgspec.structs.replace(old, database=database))
    _await(lambda: is_listening(rundir / "db.sock"), f"{host.name}: ovsdb-server", rundir / "ovsdb.log")


def stop_switch(folder: LabFolder, host: HostState) -> bool:
    """kill -9 of daemon and database. False if neither ran."""
    logs = [folder.rundir(host) / name for name in ("vswitchd.log", "ovsdb.log")]
    ended = kill_all((host.switch, host.database, *map(written_down, logs)))
    if host.switch or host.database:
        folder.change_host(host.name, lambda old: msgspec.structs.replace(old, switch=None, database=None))
    return bool(ended)


def libvirt_daemon(folder: LabFolder, host: HostState) -> libvirtd.Daemon:
    """Where the libvirtd of a host with booted machines is, whether it runs or not."""
    log = folder.log(f"libvirtd-{host.number}")
    return libvirtd.Daemon(folder.libvirt_folder(host), host_namespace(folder, host), log)


def start_libvirtd(folder: LabFolder, host: HostState) -> bool:
    """False if it ran already. Machines of one that was killed run on."""
    if alive(host.libvirtd):
        return False
    process = libvirtd.start(libvirt_daemon(folder, host), switch_environment(folder.rundir(host)))
    folder.change_host(host.name, lambda old: msgspec.structs.replace(old, libvirtd=process))
    return True


def stop_libvirtd(folder: LabFolder, host: HostState) -> bool:
    """kill -9; its machines run on. False if it did not run."""
    ended = libvirtd.end(libvirt_daemon(folder, host), host.libvirtd)
    folder.change_host(host.name, lambda old: msgspec.structs.replace(old, libvirtd=None))
    return ended


def start_agent(folder: LabFolder, host: HostState) -> bool:
    """False if it ran already."""
    if alive(host.agent):
        return False
    log = folder.log(f"agent-{host.number}")
    kill(written_down(log))
    command = [sys.executable, "-m", "weft", "agent", "--controller", f"unix:{folder.feed_socket}"]
    command += ["--edges", names.edge_prefix(folder.name, host.name)]
    command += ["--server", host.name, "--rundir", str(folder.rundir(host)), "--state", str(folder.agent_folder(host))]
    if host.hypervisor == "libvirt":
        command += ["--hypervisor", f"libvirt:{libvirt_daemon(folder, host).uri}"]
        command += ["--migrate-uri", libvirtd.PEER, "--shared-disks"]
    else:
        command += ["--hypervisor", f"lab:{folder.path}"]
    environment = switch_environment(folder.rundir(host))
    agent = spawn(within(host_namespace(folder, host), command), log, environment)
    folder.change_host(host.name, lambda old: msgspec.structs.replace(old, agent=agent))
    return True


def stop_agent(folder: LabFolder, host: HostState) -> bool:
    """kill -9. False if it did not run."""
    ended = kill(host.agent)
    folder.change_host(host.name, lambda old: msgspec.structs.replace(old, agent=None))
    return ended


def _schema() -> str:
    for path in SCHEMAS:
        if os.path.exists(path):
            return path
    raise LabFailure("Open vSwitch's vswitch.ovsschema is missing: sudo apt-get install openvswitch-common")


def _bridges(host: HostState) -> list[str]:
    """One transaction; does nothing to what is there."""
    netdev = "datapath_type=netdev"
    return [
        *("--may-exist", "add-br", names.PROVIDER_BRIDGE, "--"),
        *("set", "bridge", names.PROVIDER_BRIDGE, netdev, f'other_config:hwaddr="{names.nic_mac(host.number)}"', "--"),
        *("--may-exist", "add-port", names.PROVIDER_BRIDGE, names.NIC, "--"),
        *("--may-exist", "add-br", names.INTEGRATION_BRIDGE, "--"),
        *("set", "bridge", names.INTEGRATION_BRIDGE, netdev, "fail_mode=secure"),
        "protocols=OpenFlow10,OpenFlow13,OpenFlow15",
        # many switches share this machine: no thread per core for each of them
        *("--", "set", "Open_vSwitch", ".", "other_config:n-handler-threads=1", "other_config:n-revalidator-threads=1"),
    ]


def _vsctl(rundir: Path, words: list[str], *, wait: bool) -> None:
    options = ["--timeout=60"] if wait else ["--no-wait", "--timeout=15"]
    run(["ovs-vsctl", f"--db=unix:{rundir}/db.sock", *options, "--", *words])


def _has_provider_address(space: str, host: HostState) -> bool:
    """The last thing that a start does."""
    shown = run(["ip", "-n", space, "-o", "addr", "show", "dev", names.PROVIDER_BRIDGE], check=False)
    return f" {host.provider_address} " in shown


def _give_provider_address(space: str, host: HostState) -> None:
    """The internal port of br-phy is made anew with each start of the daemon, so address and route are too."""
    bridge = names.PROVIDER_BRIDGE
    if router.provider_subnet(host).version == 6:
        sysctl(space, {f"net.ipv6.conf.{bridge}.disable_ipv6": 0})
    address = ipaddress.ip_interface(host.provider_address)
    lines = [f"link set dev {bridge} up", f"addr replace {address} dev {bridge}"]
    if host.gateway:
        lines.append(f"route replace default via {host.gateway} dev {bridge}")
    ip_batch(space, lines)


def _name_control_socket(rundir: Path, pid: int) -> None:
    """So that `ovs-appctl` without -t finds the daemon: it looks for a socket named by the PID."""
    link = rundir / f"ovs-vswitchd.{pid}.ctl"
    link.unlink(missing_ok=True)
    link.symlink_to("vswitchd.ctl")


def _await(ready: Callable[[], bool], what: str, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while not ready():
        if time.monotonic() > until:
            words = log.read_text(errors="replace").strip().splitlines()[-2:]
            raise LabFailure(f"{what} did not start in {START_SECONDS:g} s: {' / '.join(words) or 'it said nothing'}")
        time.sleep(0.01)
