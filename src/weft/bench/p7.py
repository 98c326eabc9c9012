"""P7: what the pipeline costs a tunnel between two lab hosts: TCP throughput, small UDP packets a second, round trips.

The guests, the cables and the switches are the same in every pair: for the yardstick the flows of both switches are
replaced by two static ones each, guest to tunnel and tunnel to guest. Beside that, once: a bare veth, a bridge of Open
vSwitch, and the kernel's VXLAN with a bridge (p7_beside.py).
"""

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from weft.bench import p7_beside
from weft.bench.p8 import CLUSTER, bench_lab
from weft.bench.p8 import HOSTS as ADDRESSES
from weft.bench.rows import Missing, Row, Size, alternate
from weft.lab import commands, hosts, names, up
from weft.lab.commands import run as run_tool
from weft.lab.commands import within
from weft.lab.processes import kill, spawn
from weft.lab.state import LabFolder
from weft.model.errors import WeftError

NOTE = (
    "P7: guests and switches share the machine's cores with the load, so only ratios mean something; a round trip's is "
    "the better the smaller it is."
)
STATIC = "two static flows"
SERVER = "10.9.0.20"
KEY = 0x177100
PAYLOAD = 64
"""Bytes of a UDP packet."""
OFFERED = 50_000
"""UDP packets sent a second."""
START_SECONDS = 30.0

_FIRST = r"^ ?cookie=\w+, (?:table=0, )?priority=100,"
_GUEST = re.compile(rf"{_FIRST}in_port=(\d+),dl_src=", re.MULTILINE)
_TUNNEL = re.compile(rf"{_FIRST}tun_id=[^ ]*in_port=(\d+)", re.MULTILINE)
_RTT = re.compile(r"= [\d.]+/([\d.]+)/")


class Ends(msgspec.Struct, frozen=True):
    """Namespaces of who asks and who answers, and the address of the latter."""

    client: str
    server: str
    address: str = SERVER


Measure = Callable[[Ends, Size], float]


def run(size: Size) -> Iterator[Row]:
    """Raises Missing without root, Open vSwitch or iperf3."""
    if reason := commands.missing():
        raise Missing(reason)
    try:
        run_tool(["iperf3", "--version"])
        with bench_lab(CLUSTER) as lab:
            yield from _rows(lab, size)
    except WeftError as error:
        raise Missing(f"the lab did not do it: {error}") from error


def _rows(lab: LabFolder, size: Size) -> Iterator[Row]:
    ends = Ends(up.running(lab, "client"), up.running(lab, "mover"))
    _reach(ends)
    for host in ("host1", "host2"):
        hosts.stop_agent(lab, lab.host(host))
    pair = [Pipeline(lab, "host1", "host2"), Pipeline(lab, "host2", "host1")]
    found: dict[str, float] = {}
    with _listening(lab, ends):
        for name, (unit, measure) in MEASURES.items():
            ours, other, ratio = alternate(
                _after([one.whole for one in pair], measure, ends, size),
                _after([one.static for one in pair], measure, ends, size),
                size.pick(1, 24),
            )
            found[name] = ours
            yield Row("P7", f"{name}, whole pipeline", ours, unit, STATIC, other, ratio)
    for kind, make in p7_beside.KINDS.items():
        beside = Ends(*make(lab), p7_beside.SERVER)
        _reach(beside)
        with _listening(lab, beside):
            for name, (unit, measure) in MEASURES.items():
                other = measure(beside, size)
                yield Row("P7.beside", f"{name}, whole pipeline", found[name], unit, kind, other, found[name] / other)
        p7_beside.take_away(lab)


def _after(prepare: Sequence[Callable[[], None]], measure: Measure, ends: Ends, size: Size) -> Callable[[], float]:
    def measured() -> float:
        for one in prepare:
            one()
        _reach(ends)
        return measure(ends, size)

    return measured


class Pipeline:
    """The flows of one host's switch: as its agent made them, or two static ones for its only guest."""

    def __init__(self, lab: LabFolder, host: str, peer: str) -> None:
        socket = lab.rundir(lab.host(host)) / f"{names.INTEGRATION_BRIDGE}.mgmt"
        self._switch = f"unix:{socket}"
        self._control = str(socket.with_name("vswitchd.ctl"))
        self._whole = Path(lab.path) / f"{host}.whole"
        self._static = Path(lab.path) / f"{host}.static"
        dump = self._ofctl("--no-names", "--no-stats", "dump-flows")
        flows = "\n".join(line.strip() for line in dump.splitlines() if "actions=" in line)
        self._whole.write_text(flows + "\n")
        guest, tunnel = _GUEST.search(flows), _TUNNEL.search(flows)
        if guest is None or tunnel is None:
            raise Missing(f"{host} has no guest or no tunnel: {flows[:300]}")
        aim = f"set_field:{KEY:#x}->tun_id,set_field:{ADDRESSES[peer]}->tun_dst,output:{tunnel[1]}"
        self._static.write_text(f"in_port={guest[1]},actions={aim}\nin_port={tunnel[1]},actions=output:{guest[1]}\n")

    def whole(self) -> None:
        self._replace(self._whole)

    def static(self) -> None:
        self._replace(self._static)

    def _replace(self, flows: Path) -> None:
        """The fast path learns its ways anew: under load it keeps those of before for a while."""
        self._ofctl("--bundle", "replace-flows", file=flows)
        run_tool(["ovs-appctl", "-t", self._control, "revalidator/purge"])

    def _ofctl(self, *words: str, file: Path | None = None) -> str:
        more = [str(file)] if file is not None else []
        return run_tool(["ovs-ofctl", "-O", "OpenFlow15", *words, self._switch, *more])


@contextlib.contextmanager
def _listening(lab: LabFolder, ends: Ends) -> Iterator[None]:
    """iperf3's server, as long as the block."""
    log = Path(lab.path) / "log" / "iperf3.log"
    log.parent.mkdir(exist_ok=True)
    log.unlink(missing_ok=True)
    server = spawn(within(ends.server, ["iperf3", "-s", "--forceflush"]), log)
    until = time.monotonic() + START_SECONDS
    try:
        while "listening" not in (log.read_text(errors="replace") if log.exists() else ""):
            if time.monotonic() > until:
                raise Missing("iperf3 does not listen")
            time.sleep(0.01)
        yield
    finally:
        kill(server)


def _reach(ends: Ends) -> None:
    """Wait until the way is open and known: neighbours of guests and tunnels, the fast path."""
    until = time.monotonic() + START_SECONDS
    command = within(ends.client, ["ping", "-n", "-q", "-i", "0.01", "-c", "20", "-w", "1", ends.address])
    while " 0% packet loss" not in run_tool(command, check=False):
        if time.monotonic() > until:
            raise Missing(f"{ends.address} does not answer {ends.client}")


def _iperf(ends: Ends, *words: str) -> dict[str, dict[str, float]]:
    """For a second: many short pairs are steadier than few long ones where others use the machine too."""
    command = ["iperf3", "-c", ends.address, "-t", "1", "-J", *words]
    said = json.loads(run_tool(within(ends.client, command), check=False) or "{}")
    if "error" in said or "end" not in said:
        raise Missing(f"iperf3: {said.get('error', 'it said nothing')}")
    end: dict[str, dict[str, float]] = said["end"]
    return end


def tcp_mbits(ends: Ends, _: Size) -> float:
    return _iperf(ends)["sum_received"]["bits_per_second"] / 1e6


def udp_packets(ends: Ends, _: Size) -> float:
    """A second, of those that arrived, of more than this datapath carries; all that can be sent would starve it."""
    end = _iperf(ends, "-u", "-b", str(OFFERED * PAYLOAD * 8), "-l", str(PAYLOAD))["sum"]
    return (end["packets"] - end["lost_packets"]) / end["seconds"]


def round_trip_us(ends: Ends, size: Size) -> float:
    """Mean of 500 a second."""
    count = size.pick(50, 300)
    said = run_tool(within(ends.client, ["ping", "-n", "-q", "-i", "0.002", "-c", str(count), ends.address]))
    found = _RTT.search(said)
    if found is None:
        raise Missing(f"ping said nothing to read: {said[-200:]!r}")
    return float(found[1]) * 1000


MEASURES: dict[str, tuple[str, Measure]] = {
    "TCP": ("Mbit/s", tcp_mbits),
    f"UDP, {PAYLOAD} bytes": ("packets/s", udp_packets),
    "round trip": ("us", round_trip_us),
}
