"""Both families in a lab: two tenants with equal addresses; access lists, and connections that only their state lets
through, while their machine moves between hosts."""

import json
import sys

import httpx
import pytest

from tests.conftest import PROFILE
from tests.e2e.agreement import Traced
from tests.e2e.labs import EXAMPLES, ping
from tests.e2e.matrix import Matrix
from tests.waiting import until

pytestmark = pytest.mark.root
FILE = str(EXAMPLES / "three-hosts.yaml")

ANSWERS_ONLY = """\
kind: accessControlLists
resourceId: answers-only
properties:
  inboundDefaultAction: Deny
  outboundDefaultAction: Deny
  aclRules:
  - resourceId: stream
    properties: {priority: 100, type: Inbound, action: Allow, protocol: All, sourceAddressPrefix: 10.2.0.10,
      sourcePortRange: "*", destinationAddressPrefix: "*", destinationPortRange: 5000-5001, logging: Enabled}
"""


def rule(name, priority, words):
    """A rule in words: Inbound Allow TCP 10.2.0.10 80-81."""
    way, action, protocol, source, ports = words.split()
    return f"""\
  - resourceId: {name}
    properties: {{priority: {priority}, type: {way}, action: {action}, protocol: {protocol},
      sourceAddressPrefix: "{source}", sourcePortRange: "*", destinationAddressPrefix: "*",
      destinationPortRange: "{ports}"}}
"""


RULES = {
    "web": "Inbound Allow TCP 10.2.0.10 80-81",
    "web6": "Inbound Allow TCP fd00:2::/64 82",
    "low": "Inbound Deny TCP * 1-1023",
    "one": "Inbound Allow UDP 10.2.0.0/24 53",
    "names": "Inbound Deny UDP * 53-54",
    "six": "Inbound Deny ICMPv6 * *",
    "out": "Outbound Allow TCP * 440-450",
    "away": "Outbound Allow UDP 10.2.0.20 52",
}
MIXED = """\
kind: accessControlLists
resourceId: mixed
properties:
  inboundDefaultAction: Permit
  outboundDefaultAction: Deny
  aclRules:
""" + "".join(rule(name, 100 + number, words) for number, (name, words) in enumerate(RULES.items()))
PORTS = (*(range(1, 500) if PROFILE == "soak" else (22, 79, 80, 81, 82, 83, 439, 440, 450, 451)), 1023, 1024)
SERVERS = ("10.2.0.20", "fd00:2::20", "10.2.0.77", "fd00:2::77")
CLIENTS = ("10.2.0.10", "fd00:2::10", "10.2.0.77", "fd00:2::77")

TAKES = """
import socket
listening = socket.create_server(("10.2.0.20", 5000))
print("ready", flush=True)
taken, _ = listening.accept()
count = 0
while data := taken.recv(65536):
    count += len(data)
print(count, flush=True)
"""
GIVES = """
import socket, time
with socket.create_connection(("10.2.0.20", 5000), 10) as giving:
    giving.settimeout(20)
    for _ in range(600):
        giving.sendall(b"x" * 100)
        time.sleep(0.01)
"""
TALKS = """
import socket, time
talking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
talking.bind(("10.2.0.20", 5001))
print("ready", flush=True)
_, peer = talking.recvfrom(100)
while True:
    talking.sendto(b"x", peer)
    time.sleep(0.01)
"""
LISTENS = """
import pathlib, socket, sys, time
listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listening.bind(("10.2.0.10", 6001))
listening.settimeout(0.02)
asked, last = 0, time.monotonic()
while True:
    wanted = int(pathlib.Path(sys.argv[1]).read_text())
    if wanted > asked:
        asked = wanted
        listening.sendto(b"go", ("10.2.0.20", 5001))
    try:
        listening.recv(100)
        last = time.monotonic()
    except TimeoutError:
        pass
    # whole or not at all: whoever reads half of it would take it for something else
    pathlib.Path(sys.argv[2] + ".new").write_text(str(time.monotonic() - last))
    pathlib.Path(sys.argv[2] + ".new").rename(sys.argv[2])
"""


@pytest.fixture
def lab(module_lab):
    return module_lab[0]


def filtered(lab, folder, name="answers-only", text=ANSWERS_ONLY, families=("ip4",)):
    """The server's addresses of these families come under the list, those of others under none."""
    (folder / "list.yaml").write_text(text)
    interface = json.loads(lab.weft("get", "networkInterfaces", "server-eth0", "-o", "json"))
    for one in interface["properties"]["ipConfigurations"]:
        one["properties"].pop("accessControlList", None)
        if one["resourceId"] in families:
            one["properties"]["accessControlList"] = {"resourceRef": f"/accessControlLists/{name}"}
    document = {"kind": "networkInterfaces", "resourceId": "server-eth0", "properties": interface["properties"]}
    (folder / "nic.yaml").write_text(json.dumps(document))
    for name in ("list.yaml", "nic.yaml"):
        lab.weft("apply", "-f", str(folder / name), "--wait")


def python(lab, machine, text, *words):
    return lab.begin("exec", machine, "--", sys.executable, "-c", text, *words)


def ask(path, number):
    """Whole or not at all, as the listener reads it."""
    path.with_suffix(".new").write_text(str(number))
    path.with_suffix(".new").rename(path)


def silence(path):
    """For how many seconds the listener has heard nothing."""
    try:
        return float(path.read_text())
    except (OSError, ValueError):
        return 99.0


def twins(lab, folder):
    """Another tenant with the same prefixes and addresses of both families, on host1 and host3."""
    documents = []
    for text in (EXAMPLES / "three-hosts.yaml").read_text().split("\n---\n"):
        if any(f"kind: {kind}\n" in text for kind in ("virtualNetworks", "networkInterfaces", "virtualMachines")):
            for word, other in (
                ("green", "grey"),
                ("client", "grey1"),
                ("server-eth0", "grey2-eth0"),
                ("host2", "host3"),
            ):
                text = text.replace(word, other)
            documents.append(text.replace("resourceId: server\n", "resourceId: grey2\n"))
    (folder / "grey.yaml").write_text("\n---\n".join(documents) + "\n")
    lab.weft("apply", "-f", str(folder / "grey.yaml"), "--wait")
    for name in ("grey1", "grey2"):
        lab.weft("vm", "start", name)


def test_two_tenants_with_equal_addresses_of_both_families_never_meet(lab, tmp_path):
    twins(lab, tmp_path)
    with Matrix(lab) as matrix:
        assert {(card.tenant, card.address(6)) for card in matrix.cards} == {
            (tenant, address) for tenant in ("green", "grey") for address in ("fd00:2::10", "fd00:2::20")
        }
        matrix.honest()
        assert matrix.guests_lie() > 900 and matrix.wire_lies() > 600
        matrix.honest()


def test_trace_says_what_access_lists_let_through(lab, tmp_path):
    """Both families, both directions, by protocol and port; the answer comes back wherever the first packet passes."""
    filtered(lab, tmp_path, "mixed", MIXED, ("ip4", "ip6"))
    kinds = [*(("tcp", port) for port in PORTS), *(("udp", port) for port in (52, 53, 54))]
    with Traced(lab) as traced:
        for machine, targets, rules in (
            ("client", SERVERS, {"low", "names", "six"}),
            ("server", CLIENTS, {"mixed"}),
        ):
            asked = [(to, *kind) for to in targets for kind in (("icmpv6" if ":" in to else "icmp", 0), *kinds)]
            told = traced.agree(machine, asked)
            assert {found["delivered"] for found in told} == {True, False}
            assert {(found.get("decidedBy") or "").rpartition("/")[2] for found in told} >= rules


NO_PING = """\
kind: accessControlLists
resourceId: no-ping
properties:
  aclRules:
""" + rule("client", 100, "Inbound Deny ICMPv4 10.2.0.10 *")


def of_subnet(lab, folder, reference):
    """What is in the IPv4 subnet comes under this list."""
    properties = json.loads(lab.weft("get", "virtualNetworks", "green", "-o", "json"))["properties"]
    (subnet,) = (one for one in properties["subnets"] if one["resourceId"] == "app")
    subnet["properties"]["accessControlList"] = reference
    (folder / "green.yaml").write_text(
        json.dumps({"kind": "virtualNetworks", "resourceId": "green", "properties": properties})
    )
    lab.weft("apply", "-f", str(folder / "green.yaml"), "--wait")


def test_a_list_of_a_subnet_is_for_whoever_is_in_it(lab, tmp_path):
    filtered(lab, tmp_path, "no-ping", NO_PING, ())
    of_subnet(lab, tmp_path, {"resourceRef": "/accessControlLists/no-ping"})
    try:
        lab.run("ping", "client", "10.2.0.20", "-c", "3", "-i", "0.02", code=1)
        assert "no-ping/aclRules/client" in lab.weft("trace", "client-eth0", "10.2.0.20")
        for machine, address in (("server", "10.2.0.10"), ("client", "fd00:2::20")):
            assert ping(lab, machine, address) == "20 sent, 20 received", "by another rule, and by none"
    finally:
        of_subnet(lab, tmp_path, None)
    assert ping(lab, "client", "10.2.0.20") == "20 sent, 20 received"


def test_what_the_permitted_side_sends_goes_on_after_a_move_and_what_only_answers_is_cut(lab, tmp_path):
    filtered(lab, tmp_path)
    lab.run("ping", "client", "10.2.0.20", "-c", "5", "-i", "0.02", code=1)
    until(lambda: the_list(lab)["inboundDefaultHits"]["packets"] >= 5, patience=30)
    takes = python(lab, "server", TAKES)
    assert takes.stdout.readline() == "ready\n"
    gives = python(lab, "client", GIVES)
    lab.weft("vm", "migrate", "server", "--to", "host3")
    assert gives.wait(40) == 0
    assert takes.stdout.readline() == "60000\n"
    asked, heard = tmp_path / "asked", tmp_path / "heard"
    ask(asked, 0)
    talks = python(lab, "server", TALKS)
    assert talks.stdout.readline() == "ready\n"
    python(lab, "client", LISTENS, str(asked), str(heard))
    ask(asked, 1)
    until(lambda: silence(heard) < 0.5)
    lab.weft("vm", "migrate", "server", "--to", "host2")
    until(lambda: silence(heard) > 1.5)
    ask(asked, 2)
    until(lambda: silence(heard) < 0.5)
    until(lambda: has_hits(lab), patience=30)
    until(lambda: shown_by(lab, "host2") > 0, patience=30)
    page = httpx.get(f"{json.loads(lab.file.read_text())['url']}/metrics").text
    name = 'weft_access_rule_packets_total{list="answers-only",rule="stream",server="host2"} '
    assert float(page.partition(name)[2].split()[0]) > 0


def shown_by(lab, host):
    """Packets that the rule let in on a host, as weft host state says."""
    rows = [line.split() for line in lab.weft("host", "state", host).splitlines()]
    return max((int(row[2]) for row in rows if row[:2] == ["answers-only", "stream"]), default=0)


def the_list(lab):
    return json.loads(lab.weft("get", "acl", "answers-only", "-o", "json"))["properties"]


def has_hits(lab):
    """On all hosts together: the pings that the default denied, and what the rule let in."""
    found = the_list(lab)
    assert found["configurationState"]["status"] in ("Success", "InProgress"), found["configurationState"]
    [rule] = found["aclRules"]
    hits, denied = rule["properties"]["hits"], found["inboundDefaultHits"]
    return hits["packets"] > 0 and hits["bytes"] > 14 * hits["packets"] and "last" in hits and denied["packets"] >= 5
