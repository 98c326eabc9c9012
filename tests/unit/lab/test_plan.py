"""What a lab file asks for, and what is wrong with it."""

from pathlib import Path

import pytest

from weft.cli.faults import BadFile
from weft.cli.files import parse_stream, read_stream
from weft.lab.plan import plan

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
HOST = "kind: lab/host\nresourceId: {}\nproperties: {{{}}}\n"
GOOD = HOST.format("host1", "providerAddress: 192.168.1.10/24, gateway: 192.168.1.1")
MACHINE = "kind: virtualMachines\nresourceId: {}\nproperties: {{powerState: {}}}\n"


def of(*documents):
    return plan(parse_stream("---\n".join(documents), "lab.yaml"))


def faults(*documents):
    with pytest.raises(BadFile) as caught:
        of(*documents)
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize("said", ["hypervisor: libvirt", "Hypervisor: Libvirt", "guest: qemu"])
def test_a_host_may_have_machines_that_boot(said):
    other = HOST.format("host2", f"providerAddress: 192.168.1.20/24, {said}")
    found = of(GOOD, other)
    assert found.booting == ["host2"]
    assert [doc.body["properties"].get("connections") for doc in found.resources] == [
        None,
        [{"managementAddresses": ["192.168.1.20"]}],
    ]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("hypervisor: xen", "hypervisor is 'xen'; write lab, whose machines are namespaces, or libvirt"),
        ("guest: container", "guest is 'container'; write namespace or qemu"),
        ("guest: qemu, hypervisor: lab", "guest qemu does not go with hypervisor lab"),
    ],
)
def test_what_no_host_can_have_is_a_fault(said, words):
    (fault,) = faults(HOST.format("host1", f"providerAddress: 192.168.1.10/24, {said}"))
    assert words in fault


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_is_a_lab(file):
    found = plan(read_stream(file))
    assert found.hosts and found.running


def test_a_host_becomes_a_server_with_its_provider_address():
    found = of(GOOD)
    assert [(host.name, host.number, host.provider_address, host.gateway) for host in found.hosts] == [
        ("host1", 0, "192.168.1.10/24", "192.168.1.1")
    ]
    assert [(doc.ref, doc.body["properties"]) for doc in found.resources] == [
        ("/servers/host1", {"providerAddresses": ["192.168.1.10"]})
    ]


def test_a_server_in_the_file_gets_the_address_unless_it_names_its_own():
    bare = of(GOOD, "kind: servers\nresourceId: HOST1\nproperties: {model: x}\n")
    own = of(GOOD, "kind: servers\nresourceId: host1\nproperties: {providerAddresses: [192.168.1.11]}\n")
    assert bare.resources[0].body["properties"] == {"model": "x", "providerAddresses": ["192.168.1.10"]}
    assert own.resources[0].body["properties"] == {"providerAddresses": ["192.168.1.11"]}
    assert len(bare.resources) == len(own.resources) == 1


def test_machines_are_started_unless_off_and_applied_without_power():
    found = of(GOOD, MACHINE.format("web1", "Running"), MACHINE.format("web2", "'Off'"))
    assert found.running == ("web1",)
    assert all("powerState" not in doc.body["properties"] for doc in found.resources)


EXTERNAL = "kind: lab/external\nresourceId: net\nproperties: {%s}\n"


def test_what_is_outside_hangs_beside_the_first_host_unless_it_says_where():
    routes = "routes: [{destinationPrefix: 10.1.0.0/16, nextHop: 203.0.113.10}]"
    [one] = of(GOOD, EXTERNAL % f"address: 203.0.113.9/24, {routes}").externals
    assert (one.name, one.address, one.beside) == ("net", "203.0.113.9/24", "host1")
    assert (one.routes, one.vlan) == ((("10.1.0.0/16", "203.0.113.10"),), 0)
    assert of(GOOD, EXTERNAL % "address: 203.0.113.9/24, vlan: 7").externals[0].vlan == 7


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ("address: 203.0.113.9", "has no prefix length"),
        ("address: here/24", "write address and prefix length"),
        ("address: 203.0.113.9/24, beside: host9", "'host9', which is no lab/host"),
        ("address: 203.0.113.9/24, vlanId: 7", "unknown member vlanId"),
        ("address: 203.0.113.9/24, vlan: 4095", "write a number from 1 to 4094"),
        ("address: 203.0.113.9/24, routes: [10.1.0.0/16]", "each of routes is"),
    ],
)
def test_a_bad_external_is_named_with_line_and_what_to_do(properties, said):
    found = faults(GOOD, EXTERNAL % properties)
    assert found[0].startswith("lab.yaml:5: lab/external net:") and said in found[0]


def test_nothing_outside_is_named_as_a_host_or_a_machine():
    named = EXTERNAL.replace("net", "host1") % "address: 203.0.113.9/24"
    assert "named as a host" in faults(GOOD, named)[0]


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ("gateway: 192.168.1.1", "providerAddress is ''; write address and prefix length"),
        ("providerAddress: 192.168.1.10", "write address and prefix length"),
        ("providerAddress: 192.168.1.300/24", "192.168.1.300"),
        ("providerAddress: 192.168.1.10/24, gateway: 192.168.2.1", "not another address of 192.168.1.0/24"),
        ("providerAddress: 192.168.1.10/24, gateway: 192.168.1.10", "not another address"),
        ("providerAdress: 192.168.1.10/24", "unknown member providerAdress"),
    ],
)
def test_a_bad_host_is_named_with_line_and_what_to_do(properties, said):
    found = faults(HOST.format("host1", properties))
    assert found[0].startswith("lab.yaml:1: lab/host host1:")
    assert said in " ".join(found)


def test_clashes_are_faults():
    second = HOST.format("HOST1", "providerAddress: 192.168.1.10/24")
    assert len([fault for fault in faults(GOOD, second) if "choose another" in fault]) == 2
    assert "named as a host" in faults(GOOD, MACHINE.format("Host1", "Running"))[0]


def test_a_lab_without_hosts_says_so():
    assert "at least one host" in faults(MACHINE.format("web1", "Running"))[0]


def test_a_host_has_legs_for_its_own_and_room_for_others():
    machines = [
        f"kind: virtualMachines\nresourceId: vm{n}\nproperties:\n"
        f"  server: {{resourceRef: /servers/{'HOST1' if n < 3 else 'host2'}}}\n"
        f"  networkInterfaces: [{{resourceRef: /networkInterfaces/a{n}}}]\n"
        for n in range(20)
    ]
    other = HOST.format("host2", "providerAddress: 192.168.1.11/24")
    found = of(GOOD, other, *machines)
    assert (found.legs_on("host1"), found.legs_on("host2")) == (3 + 8, 20)


GUEST = "kind: lab/guest\nresourceId: {}\nproperties: {{{}}}\n"


def test_a_guest_asks_for_its_addresses_if_the_file_says_so():
    machines = MACHINE.format("App1", "Running"), MACHINE.format("app2", "Running")
    assert of(GOOD, GUEST.format("app1", "dhcp: true"), GUEST.format("app2", "dhcp: false"), *machines).dhcp == (
        "app1",
    )


@pytest.mark.parametrize(
    ("name", "said", "words"),
    [
        ("app1", "dhcp: perhaps", "lab/guest app1: dhcp is 'perhaps'; write true or false"),
        ("app1", "dhpc: true", "lab/guest app1: unknown member dhpc; write dhcp: true"),
        ("app9", "dhcp: true", "lab/guest app9: the file has no virtualMachines of that name"),
    ],
)
def test_a_bad_guest_is_named_with_line_and_what_to_do(name, said, words):
    (fault,) = faults(GOOD, GUEST.format(name, said), MACHINE.format("app1", "Running"))
    assert fault.startswith("lab.yaml:") and words in fault
