"""What trace answers, and what it says decided."""

import pytest

from tests.cluster import access_lists
from tests.cluster.world import instance, sample
from tests.property.agreement import lists
from weft.core.trace import trace
from weft.core.trace_ends import HostFacts
from weft.model.errors import Invalid, InvalidReference
from weft.model.values import ip_text, link_local_of


def stages(result):
    return [(step.host, step.stage) for step in result.path]


def test_within_a_subnet_between_hosts():
    result = trace(sample().state, "/networkInterfaces/blue1-eth0", "10.1.1.12")
    assert result.delivered
    assert result.reason == "delivered to port blue2-eth0 on host2"
    assert result.decided_by == "/networkInterfaces/blue2-eth0"
    assert result.missing is None
    assert stages(result) == [
        ("Host1", "classify"),
        ("Host1", "port security"),
        ("Host1", "responder"),
        ("Host1", "encapsulation"),
        ("host2", "decapsulation"),
        ("host2", "output"),
    ]
    assert "NVGRE from 192.168.1.10 to 192.168.2.20, VSID 6001" in [step.text for step in result.path]


def test_to_an_interface_in_another_subnet_of_the_network_is_routed():
    result = trace(sample().state, "blue1-eth0", "/networkInterfaces/blue3-eth0", "tcp", 443)
    assert result.delivered
    (routing,) = [step for step in result.path if step.stage == "routing"]
    assert routing.record == "CustomerRoute 10.1.2.0/24"
    assert "from VSID 6001 to 6002, TTL" in routing.text


def test_on_one_host_nothing_is_encapsulated():
    result = trace(sample().state, "blue2-eth0", "10.1.2.21")
    assert result.delivered
    assert "encapsulation" not in {step.stage for step in result.path}


def test_the_gateway_answers_ping_and_nothing_else():
    world = sample()
    assert trace(world.state, "blue1-eth0", "10.1.1.1").reason == "answered by the distributed router on Host1"
    assert trace(world.state, "blue1-eth0", "10.1.2.1").delivered, "the other subnet's gateway too"
    refused = trace(world.state, "blue1-eth0", "10.1.1.1", "tcp", 22)
    assert not refused.delivered
    assert "answers ping only" in refused.reason


def test_outside_the_network_there_is_no_gateway():
    result = trace(sample().state, "blue1-eth0", "203.0.113.9")
    assert not result.delivered
    assert result.reason.startswith("no gateway: 203.0.113.9 is outside virtual network Blue")
    assert result.decided_by == "/virtualNetworks/Blue"
    assert result.missing == {"record": "customerRoute", "destinationPrefix": "203.0.113.9/32"}


def test_another_tenants_interface_has_no_route_and_its_address_is_ones_own_neighbour():
    world = sample()
    result = trace(world.state, "blue1-eth0", "red2-eth0")
    assert not result.delivered
    assert result.reason.startswith("no route: red2-eth0 is in virtual network red")
    assert trace(world.state, "red1-eth0", "10.1.1.12").decided_by == "/networkInterfaces/red2-eth0"


def test_an_address_that_nobody_has():
    result = trace(sample().state, "blue1-eth0", "10.1.1.99")
    assert not result.delivered
    assert result.decided_by == "/virtualNetworks/Blue/subnets/web"
    assert result.missing == {"record": "lookupRecord", "virtualSubnetId": 6001, "customerAddress": "10.1.1.99"}


@pytest.mark.parametrize(
    ("spoil", "decided_by", "words"),
    [
        (lambda w: w.power("blue2", "Off"), "/weft/virtualMachines/blue2", "machine blue2 is Off"),
        (lambda w: w.machine("blue2", "", ["blue2-eth0"], "Running"), "/weft/virtualMachines/blue2", "has no server"),
        (lambda w: w.delete("virtualMachines", "blue2"), "/networkInterfaces/blue2-eth0", "belongs to no machine"),
        (lambda w: w.server("host2"), "/servers/host2", "no provider address"),
    ],
)
def test_why_there_is_no_lookup_record(spoil, decided_by, words):
    world = sample()
    spoil(world)
    result = trace(world.state, "blue1-eth0", "10.1.1.12")
    assert not result.delivered
    assert result.decided_by == decided_by
    assert result.reason.startswith("no lookup record: ")
    assert words in result.reason
    assert result.missing["customerAddress"] == "10.1.1.12"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda w: w.power("blue1", "Saved"), "machine blue1 is Saved"),
        (lambda w: w.delete("virtualMachines", "blue1"), "belongs to no machine"),
        (lambda w: w.server("Host1"), "server Host1 has no provider address"),
        (lambda w: w.interface("blue1-eth0", 1), "has no address in a virtual subnet"),
    ],
)
def test_why_nothing_leaves(spoil, words):
    world = sample()
    spoil(world)
    result = trace(world.state, "blue1-eth0", "10.1.1.12")
    assert not result.delivered
    assert words in result.reason


def test_a_target_interface_without_overlay_address():
    world = sample()
    world.interface("blue2-eth0", 1, ("/logicalNetworks/hnvpa/subnets/pa1", "192.168.1.99"))
    result = trace(world.state, "blue1-eth0", "blue2-eth0")
    assert result.decided_by == "/networkInterfaces/blue2-eth0"
    assert "no address in a virtual subnet" in result.reason


def test_an_address_in_a_subnet_that_the_port_does_not_serve_is_nobodys():
    world = sample()
    ref = "/virtualNetworks/blue/subnets/"
    world.interface("blue2-eth0", 1, (ref + "web", "10.1.1.12"), (ref + "db", "10.1.2.77"))
    assert "no network interface has 10.1.2.77" in trace(world.state, "blue1-eth0", "10.1.2.77").reason


def test_what_hosts_know_is_told():
    world = sample()
    there = instance("networkInterfaces/blue2-eth0")
    closed = trace(world.state, "blue1-eth0", "10.1.1.12", facts=HostFacts(closed={there: "attached-mac differs"}.get))
    assert not closed.delivered
    assert closed.reason == "the port of blue2-eth0 is closed: attached-mac differs"
    silent = trace(world.state, "blue1-eth0", "10.1.1.12", facts=HostFacts(silent=frozenset({there})))
    assert silent.delivered
    assert silent.reason.startswith("delivered to port blue2-eth0 on host2; the guest answers nothing")


def test_the_source_needs_an_address_of_the_targets_family():
    world = sample()
    result = trace(world.state, "blue1-eth0", "fd00::1")
    assert "has no IPv6 address" in result.reason


def test_its_own_address_never_leaves_the_guest():
    assert "never leaves the guest" in trace(sample().state, "blue1-eth0", "10.1.1.11").reason


def test_over_ipv6():
    world = sample()
    world.network("six", 70, {"v4": ("10.7.0.0/24", 7001), "v6": ("fd00:7::/64", 7001)})
    ref = "/virtualNetworks/six/subnets/"
    for number, host in ((5, "host1"), (6, "host2")):
        world.interface(f"s{number}", number, (ref + "v4", f"10.7.0.{number}"), (ref + "v6", f"fd00:7::{number}"))
        world.machine(f"s{number}", host, [f"s{number}"], "Running")
    assert trace(world.state, "s5", "fd00:7::6", "icmpv6").delivered
    assert trace(world.state, "s5", "fd00:7::1", "icmpv6").reason == "answered by the distributed router on Host1"
    six = trace(world.state, "s5", "fe80::6", "icmpv6")
    assert six.reason.startswith("no neighbour: nobody is known by link-local address fe80::6")
    six = trace(world.state, "s5", ip_text(link_local_of(6).to_bytes(16)), "tcp", 443)
    assert (six.delivered, six.decided_by) == (True, "/networkInterfaces/s6")
    assert trace(world.state, "s5", "fe80::57:45ff:fe46:5401", "icmpv6").reason.startswith(
        "answered by the distributed"
    )
    assert "never leaves" in trace(world.state, "s5", ip_text(link_local_of(5).to_bytes(16))).reason
    assert "nor routed" in trace(world.state, "s5", "169.254.1.1").reason
    for nobody in ("127.0.0.1", "::", "0.0.0.0"):
        with pytest.raises(Invalid, match="name another"):
            trace(world.state, "s5", nobody)
    assert trace(world.state, "s5", "fd00:8::1").missing["destinationPrefix"] == "fd00:8::1/128"


def routed(world, **routes):
    """Blue's first subnet gets a table."""
    world.table("t", **routes)
    subnets = {"web": ("10.1.1.0/24", 6001), "db": ("10.1.2.0/24", 6002)}
    world.network("Blue", 60, subnets, {"web": "t"})
    return world.state


@pytest.mark.parametrize(
    ("route", "delivered", "words"),
    [
        (("0.0.0.0/0", "VirtualAppliance", "10.1.2.21"), True, "the appliance of /routeTables/t/routes/r"),
        (("203.0.113.0/24", "VirtualAppliance", "10.1.2.99"), False, "no network interface has 10.1.2.99"),
        (("203.0.113.9/32", "None", ""), False, "blocked route: /routeTables/t/routes/r"),
        (("0.0.0.0/0", "Internet", ""), False, "no gateway: 203.0.113.9 is outside"),
        (("203.0.0.0/16", "VnetLocal", ""), False, "no route: 203.0.113.9"),
        (("203.0.0.0/16", "None", ""), False, "has nextHopType None"),
        (("0.0.0.0/0", "VirtualAppliance", "10.1.1.11"), False, "10.1.1.11 is the sender itself"),
    ],
)
def test_a_table_sends_what_is_outside_somewhere(route, delivered, words):
    result = trace(routed(sample(), r=route), "blue1-eth0", "203.0.113.9")
    assert result.delivered is delivered
    assert words in result.reason
    assert [step.record for step in result.path if step.stage == "routing"][0] == f"UserRoute 6001 {route[0]}"


@pytest.mark.parametrize(
    ("prefix", "delivered"), [("10.1.0.0/16", True), ("10.1.2.0/24", False), ("10.1.2.21/32", False)]
)
def test_a_table_decides_before_the_system_where_it_is_as_long(prefix, delivered):
    state = routed(sample(), r=(prefix, "None", ""))
    assert trace(state, "blue1-eth0", "10.1.2.21").delivered is delivered
    assert trace(state, "blue3-eth0", "10.1.1.11").delivered, "the other subnet has no table"
    assert trace(state, "blue1-eth0", "10.1.1.12").delivered, "inside a subnet nothing is routed"


def test_a_route_into_the_network_itself():
    state = routed(sample(), r=("10.1.2.0/24", "VirtualAppliance", "10.1.1.12"), home=("10.1.2.16/28", "VnetLocal", ""))
    result = trace(state, "blue1-eth0", "10.1.2.21")
    assert result.delivered and result.decided_by == "/networkInterfaces/blue3-eth0"
    assert trace(state, "blue1-eth0", "10.1.2.99").decided_by == "/routeTables/t/routes/r"


def test_questions_that_cannot_be_answered_are_refused():
    world = sample()
    for source, target in (("nobody", "10.1.1.12"), ("blue1-eth0", "nobody"), ("blue1-eth0", "10.1.1.300")):
        with pytest.raises(InvalidReference):
            trace(world.state, source, target)
    with pytest.raises(Invalid, match="is not traced"):
        trace(world.state, "blue1-eth0", "10.1.1.12", "igmp")
    for group in ("224.0.0.5", "255.255.255.255", "10.1.1.255"):
        with pytest.raises(Invalid, match="every port"):
            trace(world.state, "blue1-eth0", group)


def test_a_sender_for_which_nothing_stands_in_a_network_that_rewrites():
    made = sample()
    made.encapsulate("Blue", "Rewrite")
    made.server("host2", "192.168.1.20")
    made.stand("host2", "blue2-eth0", "192.168.1.102")
    made.change_machine("blue2", power_state="Running")
    lost = trace(made.state, "blue1-eth0", "10.1.1.12")
    assert (lost.delivered, lost.decided_by) == (False, "/servers/Host1")
    assert lost.reason == "no rewriting: no provider address stands for 10.1.1.11 on server Host1"
    made.stand("Host1", "blue1-eth0", "192.168.1.101")
    found = trace(made.state, "blue1-eth0", "10.1.1.12")
    assert found.delivered
    assert "10.1.1.11 travels as 192.168.1.101, to 192.168.1.102; no tunnel" in [step.text for step in found.path]
    made.table("t", far=("198.51.100.0/24", "VirtualAppliance", "10.1.1.12"))
    made.network("Blue", 60, {"web": ("10.1.1.0/24", 6001)}, {"web": "t"})
    made.encapsulate("Blue", "Rewrite")
    by_appliance = trace(made.state, "blue1-eth0", "198.51.100.9")
    assert not by_appliance.delivered
    assert "would not say any more that it is for 198.51.100.9" in by_appliance.reason


def test_tags_are_of_where_a_packet_goes_also_at_an_appliance():
    world = sample()
    rules = (
        lists.rule(100, ("Deny", "Inbound", "All", "*", "INTERNET", "*")),
        lists.rule(110, ("Allow", "Inbound", "All", "VIRTUALNETWORK", "VIRTUALNETWORK", "*")),
    )
    access_lists.put_list(world, "inside", 7, rules, inbound="Deny")
    state = routed(world, r=("0.0.0.0/0", "VirtualAppliance", "10.1.2.21"))
    access_lists.filter_interface(world, "blue3-eth0", "inside")
    world.space("Blue", "10.1.0.0/16")
    outside, own = trace(state, "blue1-eth0", "203.0.113.9"), trace(state, "blue1-eth0", "10.1.2.21")
    assert not outside.delivered and outside.decided_by == "/accessControlLists/inside/aclRules/r100"
    assert own.delivered
