"""A libvirtd of its own for a host of the lab, beside others on this machine and beside the machine's own.

libvirt's folders are fixed when it is built, so the daemon runs in a mount namespace where folders of the lab stand in
their place; it ends with the daemon and the machines that it started. It runs in the host's network namespace, finds
the host's Open vSwitch by OVS_RUNDIR, and listens there on TCP, without a password, for the other hosts' migrations.
Called by weft.lab.hosts.
"""

import shutil
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from weft.agent.programs import PATH
from weft.lab import reaper
from weft.lab.commands import within
from weft.lab.guest_image import cache_folder
from weft.lab.processes import Process, alive, is_listening, kill, spawn, written_down
from weft.lab.state import LabFailure

PACKAGES = {"libvirtd": "libvirt-daemon-system", "qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils"}
PEER = "qemu+tcp://{address}/system"
START_SECONDS = 20.0

_FOLDERS = {"etc": "/etc/libvirt", "run": "/run/libvirt"} | {
    name: f"/var/{name}/libvirt" for name in ("lib", "log", "cache")
}
_DAEMON = """\
listen_tls = 0
listen_tcp = 1
auth_tcp = "none"
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_group = "root"
host_uuid = "{uuid}"
log_outputs = "3:stderr"
"""
_QEMU = """\
user = "root"
group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
dynamic_ownership = 0
remember_owner = 0
migration_address = "0.0.0.0"
"""
_RUN = """
folder=$1; shift
mount --make-rprivate / || exit 1
for name in etc:/etc run:/run lib:/var/lib log:/var/log cache:/var/cache; do
    mount --bind "$folder/${name%%:*}" "${name#*:}/libvirt" || exit 1
done
mount --bind "$1" /var/cache/libvirt/qemu/capabilities || exit 1
# A KVM that is there may still boot no guest (nested, or a special one); emulation always does. libvirt asks whether it
# may write there, and asks QEMU anew at every call if it may and QEMU could not: hence a file that nobody can write to.
if [ -e /dev/kvm ]; then
    touch "$folder/nothing" && mount --bind "$folder/nothing" /dev/kvm && mount -o remount,bind,ro /dev/kvm || exit 1
fi
exec "$2" "$3" libvirtd --listen --pid-file /run/libvirt/libvirtd.pid
"""


class Daemon(msgspec.Struct, frozen=True):
    """Where one is."""

    folder: Path
    """Its own: short, for the sockets below it."""
    namespace: str
    """Of the host's network."""
    log: Path

    @property
    def socket(self) -> Path:
        return self.folder / "run" / "libvirt-sock"

    @property
    def hooks(self) -> Path:
        """Where it looks for hooks, by the path that other programs see."""
        return self.folder / "etc" / "hooks"

    @property
    def uri(self) -> str:
        """For programs of this machine, whatever namespaces they run in."""
        return f"qemu+unix:///system?socket={self.socket}"


def missing() -> str:
    """Why a lab cannot have libvirt hosts here, with the command that helps; empty if it can."""
    absent = [tool for tool in PACKAGES if shutil.which(tool, path=PATH) is None]
    if absent:
        packages = " ".join(sorted({PACKAGES[tool] for tool in absent}))
        return f"libvirt hosts need {', '.join(absent)}, not found here. Install: sudo apt-get install {packages}"
    try:
        import libvirt

        libvirt.registerErrorHandler(_said_by_exceptions, None)
    except ImportError:
        return "libvirt hosts need libvirt-python, not found here: make setup, or pip install 'weft[libvirt]'"
    return ""


def machines(daemon: Daemon) -> dict[str, bool]:
    """Names of the machines that it knows, and whether each runs; none if it does not answer."""
    if missing():
        return {}
    import libvirt

    try:
        connection = libvirt.openReadOnly(daemon.uri)
    except libvirt.libvirtError:
        return {}
    try:
        # Two lists, since to ask each domain would fail for one that goes meanwhile.
        running = {domain.name() for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)}
        return {domain.name(): domain.name() in running for domain in connection.listAllDomains()}
    except libvirt.libvirtError:
        return {}
    finally:
        connection.close()


def _said_by_exceptions(context: Any, error: Any) -> None:
    """libvirt would write to stderr, and raises too."""


def start(daemon: Daemon, environment: Mapping[str, str]) -> Process:
    """Start it and wait until it answers; machines of one that was killed go on and are known to it again.

    Raises LabFailure.
    """
    if reason := missing():
        raise LabFailure(reason)
    kill(written_down(daemon.log))
    _write_folders(daemon)
    capabilities = cache_folder() / "libvirt-capabilities"  # to ask QEMU anew takes each daemon some seconds
    capabilities.mkdir(parents=True, exist_ok=True)
    command = ["unshare", "--mount", "sh", "-c", _RUN, "sh", str(daemon.folder), str(capabilities)]
    command += [sys.executable, reaper.__file__]
    process = spawn(within(daemon.namespace, command), daemon.log, environment)
    _await(daemon, process)
    return process


def _write_folders(daemon: Daemon) -> None:
    for name, place in _FOLDERS.items():
        (daemon.folder / name).mkdir(parents=True, exist_ok=True)
        Path(place).mkdir(parents=True, exist_ok=True)  # /run is empty after each start of the machine
    (daemon.folder / "cache" / "qemu" / "capabilities").mkdir(parents=True, exist_ok=True)
    daemon.socket.unlink(missing_ok=True)
    # the same after a restart, and another for each host: libvirt moves nothing to itself
    own = uuid.uuid5(uuid.NAMESPACE_URL, str(daemon.folder))
    (daemon.folder / "etc" / "libvirtd.conf").write_text(_DAEMON.format(uuid=own))
    (daemon.folder / "etc" / "qemu.conf").write_text(_QEMU)


def _await(daemon: Daemon, process: Process) -> None:
    until = time.monotonic() + START_SECONDS
    while not is_listening(daemon.socket):
        if time.monotonic() > until or not alive(process):
            try:
                words = daemon.log.read_text(errors="replace").strip().splitlines()[-2:]
            except OSError:
                words = []
            raise LabFailure(f"libvirtd in {daemon.namespace} did not start: {' / '.join(words) or 'it said nothing'}")
        time.sleep(0.02)


def end(daemon: Daemon, process: Process | None) -> bool:
    """kill -9 of the daemon; its machines run on. False if it did not run."""
    return any([kill(one) for one in (process, written_down(daemon.log))])
