"""P8: what a live migration costs the pings of a peer, with the feed delayed on purpose, in the lab.

Three hosts: `client` pings `mover` 100 times a second while it moves between the other two. Yardstick: the same move
when the cable of the source carries nothing to the destination, so that no stray is forwarded. The client's host sends
to neither of them by that cable, so nothing else is lost by it.
"""

import contextlib
import itertools
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator

import msgspec

from weft.agent import programs
from weft.bench.rows import Missing, Row, Size
from weft.cli.files import parse_stream
from weft.lab import commands, control, names, router, up
from weft.lab.commands import run as run_tool
from weft.lab.commands import within
from weft.lab.state import LabFolder, labs_folder, locked, open_lab
from weft.model.errors import WeftError

LAB = "weft_bench"
INTERVAL_S = 0.01
NOTE = "P8: while nothing answers, ping sends about 60 a second instead of 100: the gap says more than the count."
HOSTS = {"host1": "192.168.1.10", "host2": "192.168.2.10", "host3": "192.168.3.10"}
"""Each on a provider subnet of its own, so that the router carries all between them."""

_REPLY = re.compile(r"^\[(\d+\.\d+)\] .* icmp_seq=(\d+) .*time=", re.MULTILINE)
_SENT = re.compile(r"(\d+) packets transmitted, (\d+) received")


class Outage(msgspec.Struct, frozen=True):
    """What a peer saw of one move."""

    sent: int
    lost: int
    gap_ms: float
    """Longest time between two replies."""


def run(size: Size) -> Iterator[Row]:
    """Raises Missing without root or Open vSwitch."""
    if reason := commands.missing():
        raise Missing(reason)
    try:
        with bench_lab(CLUSTER) as lab:
            for delay in (0, 1, 5) if size.full else (0,):
                yield from _rows(lab, delay, size)
    except WeftError as error:
        raise Missing(f"the lab did not do it: {error}") from error


def _rows(lab: LabFolder, delay: int, size: Size) -> Iterator[Row]:
    """The worst of several moves each way, with forwarding and without in turn."""
    up.delay_feed(lab, delay)
    ours: list[Outage] = []
    bare: list[Outage] = []
    for _ in range(size.pick(1, 2)):
        ours.append(_move(lab, delay, forwarding=True))
        bare.append(_move(lab, delay, forwarding=False))
    up.delay_feed(lab, 0)
    lost, lost_bare = max(o.lost for o in ours), max(o.lost for o in bare)
    gap, gap_bare = max(o.gap_ms for o in ours), max(o.gap_ms for o in bare)
    case = f"feed delayed {delay} s, worst of {len(ours)}"
    yardstick = "no forwarding at the source"
    yield Row("P8", f"{case}: pings lost at 100/s", lost, "pings", yardstick, lost_bare, _ratio(lost, lost_bare))
    yield Row("P8", f"{case}: longest gap", gap, "ms", yardstick, gap_bare, _ratio(gap, gap_bare))


def _ratio(value: float, other: float) -> float:
    return value / other if other else 0.0


def _move(lab: LabFolder, delay: int, forwarding: bool) -> Outage:
    """Move `mover` to where it is not, under pings that begin before and end after."""
    source = control.get(lab, "/virtualMachines/mover")["properties"]["server"]["resourceRef"].rsplit("/", 1)[1]
    destination = "host3" if source == "host2" else "host2"
    command = within(up.running(lab, "client"), ["ping", "-n", "-D", "-i", str(INTERVAL_S), "10.9.0.20"])
    environment = {**os.environ, "PATH": programs.PATH}
    with contextlib.nullcontext() if forwarding else _cut(lab, source, destination):
        pings = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        with _collected(pings) as said:
            time.sleep(0.5)
            body = {"server": {"resourceRef": f"/servers/{destination}"}}
            control.ask(lab.read().url, lambda client: client.post("/weft/v1/virtualMachines/mover/migrate", body))
            time.sleep(delay + 1.0)
            pings.send_signal(signal.SIGINT)
    return outage_of(said[0])


@contextlib.contextmanager
def _collected(pings: "subprocess.Popen[str]") -> Iterator[list[str]]:
    """What it prints until the block ends; the process ends whatever happens."""
    said: list[str] = []
    try:
        yield said
        said.append(pings.communicate(timeout=10)[0])
    finally:
        pings.kill()
        pings.wait()


def outage_of(text: str) -> Outage:
    """Read the output of `ping -D`."""
    found = _SENT.search(text)
    if found is None:
        raise Missing(f"ping said nothing to count: {text[-200:]!r}")
    times = [float(reply[1]) for reply in _REPLY.finditer(text)]
    gap = max((later - earlier for earlier, later in itertools.pairwise(times)), default=0.0)
    sent, received = int(found[1]), int(found[2])
    # the last ping may still be on its way when ping is told to end
    lost = sent - received
    last = max((int(reply[2]) for reply in _REPLY.finditer(text)), default=0)
    return Outage(sent, lost - 1 if lost and last == sent - 1 else lost, gap * 1000)


@contextlib.contextmanager
def _cut(lab: LabFolder, source: str, destination: str) -> Iterator[None]:
    """Nothing from the source's cable reaches the destination's provider address."""
    state = lab.read()
    space = names.router_namespace(lab.name)
    cable = f"net{router.subnet_number(state, lab.host(source))}"
    rule = ["iif", cable, "to", HOSTS[destination], "blackhole"]
    run_tool(["ip", "-n", space, "rule", "add", *rule])
    try:
        yield
    finally:
        run_tool(["ip", "-n", space, "rule", "del", *rule], check=False)


@contextlib.contextmanager
def bench_lab(file: str) -> Iterator[LabFolder]:
    """A lab of the bench's own; gone afterwards, also what a killed bench left."""
    lab = open_lab(LAB)
    with locked(labs_folder(), lab.name):
        up.bring_down(lab)
        try:
            up.bring_up(lab, parse_stream(file, "bench"), "", lambda line: None)
            yield lab
        finally:
            up.bring_down(lab)


def _host(name: str, address: str) -> str:
    return f"""\
kind: lab/host
resourceId: {name}
properties: {{providerAddress: {address}/24, gateway: {_gateway(address)}}}
---
"""


def _gateway(address: str) -> str:
    return address.rsplit(".", 1)[0] + ".1"


def _provider_subnet(address: str) -> str:
    net = address.rsplit(".", 1)[0]
    return f"""\
  - resourceId: pa{net.replace(".", "-")}
    properties:
      addressPrefix: {net}.0/24
      defaultGateways: [{net}.1]
      ipPools:
      - resourceId: p1
        properties: {{startIpAddress: {net}.10, endIpAddress: {net}.99}}
"""


def _machine(name: str, server: str, address: str) -> str:
    return f"""\
---
kind: networkInterfaces
resourceId: {name}-eth0
properties:
  privateMacAllocationMethod: Dynamic
  ipConfigurations:
  - resourceId: ip1
    properties:
      privateIPAllocationMethod: Static
      privateIPAddress: {address}
      subnet: {{resourceRef: /virtualNetworks/bench/subnets/all}}
---
kind: virtualMachines
resourceId: {name}
properties:
  server: {{resourceRef: /servers/{server}}}
  networkInterfaces: [{{resourceRef: /networkInterfaces/{name}-eth0}}]
"""


NETWORKS = """\
kind: virtualNetworkManager
properties: {networkVirtualizationProtocol: NVGRE}
---
kind: macPools
resourceId: bench
properties: {startMacAddress: 00-1D-D8-B7-1C-00, endMacAddress: 00-1D-D8-B7-1C-FF}
---
kind: logicalNetworks
resourceId: provider
properties:
  networkVirtualizationEnabled: true
  subnets:
"""

TENANT = """\
---
kind: virtualNetworks
resourceId: bench
properties:
  logicalNetwork: {resourceRef: /logicalNetworks/provider}
  addressSpace: {addressPrefixes: [10.9.0.0/16]}
  subnets:
  - resourceId: all
    properties: {addressPrefix: 10.9.0.0/24}
"""

CLUSTER = (
    "".join(_host(name, address) for name, address in HOSTS.items())
    + NETWORKS
    + "".join(_provider_subnet(address) for address in HOSTS.values())
    + TENANT
    + _machine("client", "host1", "10.9.0.10")
    + _machine("mover", "host2", "10.9.0.20")
)
