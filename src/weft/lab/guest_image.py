"""The lab's booted guest: Debian's cloud kernel and a small initramfs with busybox, made once and kept.

Made from Debian packages by `guest_image`, in a folder outside any checkout that is named by their versions; it appears
there whole or not at all, and two makers at once do no harm. The guest gives each interface what the kernel command
line says of it (`weft.eth0=10.1.1.11/24,10.1.1.1`: address and prefix length, gateway; `weft.eth0=dhcp`: what udhcpc
is told), answers pings, and says on its console every second which MAC address each interface has: lines such as
`weft eth0 00:1d:d8:b7:1c:00 up 12`, the last number being the seconds since it booted, and what DHCP told:
`weft told eth0 10.1.1.11/24 by 10.1.1.1 mtu 1458 dns 10.1.1.53`.
"""

import gzip
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec

from weft.lab.commands import run
from weft.lab.cpio import Entry, archive
from weft.lab.dhcp_scripts import UDHCPC
from weft.lab.state import LabFailure

KERNEL, BUSYBOX = "linux-image-cloud-amd64", "busybox-static"
MODULES = (
    "virtio_ring",
    "virtio",
    "virtio_pci_modern_dev",
    "virtio_pci_legacy_dev",
    "virtio_pci",
    "failover",
    "net_failover",
    "virtio_net",
    "virtio_blk",
)
"""Each before those that need it; nothing in the guest could work that out."""
MEMORY_MIB = 96
"""Enough for it."""
ARGUMENTS = "console=ttyS0 quiet panic=1"
REVISION = 4
"""Raised with each change of INIT or UDHCPC, so that a kept image is not taken for the new one."""

# Two processes take turns and so empty the processor's TLB a hundred times a second, for 6 % of a core. QEMU 7.2, where
# it emulates, does not see what a guest changes through a TLB entry from before its last look: of machines that moved
# under traffic some of the memory was old, and their kernels panicked.
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in MODULES; do insmod /lib/$module.ko; done
ip link set lo up
for link in /sys/class/net/eth*; do
    name=${link##*/}
    given=$(sed -n "s/.*weft\\.$name=\\([^ ]*\\).*/\\1/p" /proc/cmdline)
    mtu=$(sed -n "s/.*weft\\.mtu=\\([^ ]*\\).*/\\1/p" /proc/cmdline)
    [ -z "$mtu" ] || ip link set $name mtu $mtu
    ip link set $name up
    case $given in
    '') ;;
    dhcp) udhcpc -b -S -t 30 -T 1 -i $name -O mtu -s /lib/udhcpc >/dev/null 2>&1 & ;;
    *) ip addr add ${given%%,*} dev $name ;;
    esac
    case $given in *,*) ip route add default via ${given##*,} ;; esac
done
mkfifo /nothing
exec 3<>/nothing
for one in 1 2; do
    while :; do read -t 0.02 none <&3; done &
done
echo weft ready
while :; do
    for link in /sys/class/net/eth*; do
        name=${link##*/}
        echo weft $name $(cat $link/address) up $(cut -d. -f1 /proc/uptime)
        told=/lib/$name.resolv.conf
        [ ! -e $told ] || echo weft told $name $(ip -4 -o addr show dev $name | awk '{ print $4; exit }') \\
            by $(ip route | awk '/^default/ { print $3; exit }') mtu $(cat $link/mtu) dns $(awk '{ print $2 }' $told)
    done
    sleep 1
done
"""


class GuestImage(msgspec.Struct, frozen=True):
    kernel: Path
    initrd: Path


def cache_folder() -> Path:
    """For what is made once and kept between labs: WEFT_CACHE_DIR, else the user's cache."""
    given = os.environ.get("WEFT_CACHE_DIR")
    if given:
        return Path(given).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base).absolute() / "weft"


def guest_image() -> GuestImage:
    """The image for the packages that apt knows; an image that is kept serves where apt knows none. Takes some seconds
    the first time. Raises LabFailure with the command that helps."""
    place = cache_folder() / "guests"
    try:
        kernel, busybox = _newest(_kernel_package()), _newest(BUSYBOX)
    except LabFailure:
        kept = sorted(place.glob(f"*-r{REVISION}")) if place.exists() else []
        if not kept:
            raise
        return _image(kept[-1])
    folder = place / f"{_plain(kernel)}-{_plain(busybox)}-r{REVISION}"
    if not folder.exists():
        _make(folder, kernel, busybox)
    return _image(folder)


def _image(folder: Path) -> GuestImage:
    return GuestImage(folder / "vmlinuz", folder / "initrd.gz")


def _plain(package: str) -> str:
    return re.sub(r"[^A-Za-z0-9.+~-]", "_", package)


def _kernel_package() -> str:
    """The package of the kernel itself; linux-image-cloud-amd64 only depends on it."""
    said = run(["apt-cache", "depends", "--no-recommends", "--no-suggests", KERNEL], check=False)
    found = re.search(r"Depends: (linux-image-\S+)", said)
    if found is None:
        raise LabFailure(f"apt knows no {KERNEL}, of which booted guests are made: sudo apt-get update")
    return found[1]


def _newest(package: str) -> str:
    """`name=version` as apt-get download takes it."""
    said = run(["apt-cache", "policy", package], check=False)
    found = re.search(r"Candidate: (\S+)", said)
    if found is None or found[1] == "(none)":
        raise LabFailure(f"apt knows no {package}, of which booted guests are made: sudo apt-get update")
    return f"{package}={found[1]}"


def _make(folder: Path, kernel: str, busybox: str) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=folder.parent) as scratch:
        root = Path(scratch)
        for package in (kernel, busybox):
            _unpack(package, root)
        made = root / "image"
        made.mkdir()
        (vmlinuz,) = root.glob("boot/vmlinuz-*")
        shutil.copyfile(vmlinuz, made / "vmlinuz")
        modules = {path.stem: path.read_bytes() for path in root.glob("lib/modules/*/kernel/**/*.ko")}
        if absent := [name for name in MODULES if name not in modules]:
            raise LabFailure(f"{kernel} has no module {', '.join(absent)}: booted guests cannot be made of it")
        content = archive(_entries((root / "bin/busybox").read_bytes(), [(name, modules[name]) for name in MODULES]))
        (made / "initrd.gz").write_bytes(gzip.compress(content, 6))
        try:
            made.rename(folder)
        except OSError:  # another maker was faster
            if not folder.exists():
                raise


def _unpack(package: str, root: Path) -> None:
    """Download as apt does, unpack without installing."""
    downloads = root / f"download-{package.partition('=')[0]}"
    downloads.mkdir()
    said = ["sh", "-c", 'cd "$1" && exec apt-get -qq -o APT::Sandbox::User=root download "$2"', "sh"]
    run([*said, str(downloads), package], timeout=300)
    (archive_file,) = downloads.glob("*.deb")
    run(["dpkg", "-x", str(archive_file), str(root)], timeout=120)


def _entries(busybox: bytes, modules: Iterable[tuple[str, bytes]]) -> list[Entry]:
    folders = [Entry(name) for name in ("bin", "dev", "lib", "proc", "sys")]
    files = [Entry(f"lib/{name}.ko", content) for name, content in modules]
    init = INIT.replace("MODULES", " ".join(MODULES)).encode()
    return [
        *folders,
        *files,
        Entry("bin/busybox", busybox, 0o755),
        Entry("init", init, 0o755),
        Entry("lib/udhcpc", UDHCPC.encode(), 0o755),
    ]
