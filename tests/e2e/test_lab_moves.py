"""A lab of three hosts that is up: a machine moves and loses nothing, a host leaves the file."""

import json
import re

import pytest

from tests.conftest import PROFILE
from tests.e2e import provider
from tests.e2e.booted import machine, moved
from tests.e2e.broadcasting import Broadcasting
from tests.e2e.counted import counting, whereabouts
from tests.e2e.labs import EXAMPLES, Pinging, mac_of, ping, standing_still
from tests.e2e.processor import Waited
from tests.e2e.streams import Stream
from tests.waiting import until

pytestmark = pytest.mark.root
FILE = str(EXAMPLES / "three-hosts.yaml")


@pytest.fixture
def lab(shared):
    return shared


STAYS, ENDS = ("host2",), ("host2", "host3")
"""Where others of the subnet are, of the ends of the move that follows."""
MORE = [(0, ()), (0, STAYS), (0, ENDS), (1, ()), (1, ENDS), (5, ()), (5, STAYS), (5, ENDS)]


@pytest.mark.parametrize(
    ("delay", "beside"), [(1, STAYS), *(pytest.param(*one, marks=pytest.mark.soak) for one in MORE)]
)
def test_a_move_between_hosts_of_one_provider_subnet_loses_nothing(lab, delay, beside):
    """VXLAN, both families, also while the feed is late, and to the sender's host later than to the old one. Nor of
    what is for everybody, whether others are at the ends or not."""
    assert ping(lab, "client", "fd00:2::20") == "20 sent, 20 received"
    others = {f"at-{host}": host for host in beside}
    for name, host in others.items():
        lab.weft("vm", "create", name, "--server", host, "--network", "green/app")
    lab.run("delay-feed", str(delay))
    broadcasting = Broadcasting(lab, "client", "10.2.0.255", ("server", *others))
    pinging = Pinging(lab, "client", "10.2.0.20")
    lab.weft("vm", "migrate", "server", "--to", "host3")
    if delay:
        with standing_still(lab, "host1"):
            pinging.more(150 * delay)
    assert pinging.end().missing == ()
    assert re.search(r"machine +server +running on host3", lab.run("status"))
    lab.run("delay-feed", "0")
    moved(lab, "server")
    heard = broadcasting.end()
    twice = {name: sum(count > 1 for count in counts.values()) for name, counts in heard.items()}
    lost = {name: [one for one, count in counts.items() if not count] for name, counts in heard.items()}
    assert not any(lost.values()), {one: len(numbers) for one, numbers in lost.items()}
    print(f"of {len(heard['server'])} broadcasts none is lost; heard twice, by machine: {twice}")
    assert not any(twice[one] for one in others) and max(heard["server"].values()) <= 2
    for name in others:
        lab.weft("vm", "delete", name, "-y")
        lab.weft("delete", "networkInterfaces", f"{name}-eth0")
    assert ping(lab, "client", "fd00:2::20") == "20 sent, 20 received"


IN_SOAK = [pytest.param(*one, marks=pytest.mark.soak) for one in ((0, False), (1, True), (5, False))]


@pytest.mark.parametrize(("late_s", "dies"), [(0.3, True), *IN_SOAK])
def test_4_2_and_x1_a_move_across_provider_subnets_under_load_loses_nothing(lab, late_s, dies):
    """client leaves host1 for host3, on another provider subnet, while server, on a third host, pings its addresses of
    both families and has a TCP connection to it; the feed is late, and the controller dead from the middle of the move
    on."""
    lab.run("delay-feed", str(late_s))
    stream, waited = Stream(lab, "server", "client", "10.2.0.10"), Waited(lab)
    pinging = [Pinging(lab, "server", address) for address in ("10.2.0.10", "fd00:2::10")]
    before = server(lab, "host3")["providerAddresses"], mac_of(lab, "client-eth0")
    moving = lab.begin_weft("vm", "migrate", "client", "--to", "host3")
    if dies:
        until(lambda: "move" in machine(lab, "client"))
        lab.run("kill", "controller")
        pinging[0].more(100)
        lab.run("start", "controller")
    moving.wait(60)
    moved(lab, "client")
    silences, streamed = [one.end() for one in pinging], stream.end()
    print(f"{silences}; TCP: nothing for {streamed.longest_s:.1f} s")
    assert [one.missing for one in silences] == [(), ()]
    assert "interrupt" in streamed.ended_by, streamed.ended_by
    assert streamed.longest_s < SILENT_S + waited.seconds()
    assert place_of(lab, "client") == "/servers/host3"
    assert (server(lab, "host3")["providerAddresses"], mac_of(lab, "client-eth0")) == before
    lab.run("delay-feed", "0")


SILENT_S = 2.0
"""No packet of a connection is lost in a move."""


@pytest.mark.parametrize(("delay", "address"), [(0, "192.168.2.77"), (1, "192.168.2.78")])
def test_a_provider_address_that_changes_while_machines_run_loses_nothing(lab, tmp_path, delay, address):
    """Of the host of the machine that is pinged; the new one is on its interface, and the one before it goes."""
    host = f"host{place_of(lab, 'server')[-1]}"
    before = provider_addresses(lab, host)
    lab.run("delay-feed", str(delay))
    pinging = Pinging(lab, "client", "10.2.0.20")
    provider.apply(lab, tmp_path, ("servers", host, {"providerAddresses": [address]}))
    if delay:
        # what is stored is resumed, and nothing that was told is lost
        lab.run("kill", "controller")
        lab.run("start", "controller")
    until(lambda: "providerAddressChange" not in server(lab, host))
    silence = pinging.end()
    print(f"{silence.sent} pings, {silence.lost} lost, at most {silence.longest_s:.2f} s between two answers")
    assert silence.missing == ()
    lab.run("delay-feed", "0")
    until(lambda: address in on_interface(lab, host))
    # what the lab itself gave its host stays there, what an agent put there goes
    until(lambda: set(on_interface(lab, host)) <= {address, given(lab, host)})
    assert server(lab, host)["providerAddresses"] == [address] != before
    assert ping(lab, "client", "fd00:2::20") == "20 sent, 20 received"
    assert f"to {address}," in lab.weft("trace", "client-eth0", "10.2.0.20")
    provider.apply(lab, tmp_path, ("servers", host, {"providerAddresses": before}))
    until(lambda: "providerAddressChange" not in server(lab, host))
    until(lambda: on_interface(lab, host) == before)


def test_virtual_subnets_get_addresses_of_their_own_while_machines_run_and_give_them_back(lab, tmp_path):
    """Policy perVirtualSubnet, a host evacuated, and back: 3.12, what is on the host is what is meant, and no ping is
    lost."""
    host = f"host{place_of(lab, 'server')[-1]}"
    own = server(lab, host)["providerAddresses"]
    network = json.loads(lab.weft("get", "logicalNetworks", "hnvpa", "-o", "json"))["properties"]
    pinging = Pinging(lab, "client", "10.2.0.20")
    provider.apply(lab, tmp_path, ("logicalNetworks", "hnvpa", network | {"providerAddressPolicy": "perVirtualSubnet"}))
    until(lambda: "providerAddressChange" not in server(lab, host))
    policy = json.loads(lab.weft("policy", host, "-o", "json"))
    told = {one["providerAddress"]: one["virtualSubnet"] for one in policy["providerAddresses"]}
    (subnets,) = (one for one, subnet in told.items() if subnet)
    assert set(told) == {*own, subnets}
    records = {one["customerAddress"]: one["providerAddress"] for one in policy["lookupRecords"]}
    assert (records["10.2.0.20"], records["10.2.0.1"]) == (subnets, "169.254.254.254")
    until(lambda: {*own, subnets} <= set(on_interface(lab, host)))
    assert f"to {subnets}," in lab.weft("trace", "client-eth0", "10.2.0.20")
    lab.weft("host", "evacuate", host, "--to", "host3" if host == "host2" else "host2")
    until(lambda: set(on_interface(lab, host)) == set(own))
    assert "virtualSubnetAddresses" not in server(lab, host), "the host is empty, so it gives it back"
    host = f"host{place_of(lab, 'server')[-1]}"
    (moved,) = (one["providerAddress"] for one in server(lab, host)["virtualSubnetAddresses"])
    assert moved != subnets and moved in on_interface(lab, host)
    subnets = moved
    provider.apply(lab, tmp_path, ("logicalNetworks", "hnvpa", network | {"providerAddressPolicy": "perHost"}))
    until(lambda: "providerAddressChange" not in server(lab, host))
    until(lambda: subnets not in on_interface(lab, host))
    silence = pinging.end()
    print(f"{silence.sent} pings, {silence.lost} lost, at most {silence.longest_s:.2f} s between two answers")
    assert silence.missing == ()


def test_an_idle_host_gets_its_address_with_the_machine_that_moves_there_and_gives_it_back(lab, tmp_path):
    """Policy perHostInUse: it is on the interface before the machine is there and goes once nothing comes for it any
    more, though others hear of that a second late. What the lab itself gave its host is not the host's meanwhile."""
    busy = f"host{place_of(lab, 'server')[-1]}"
    idle = "host3" if busy == "host2" else "host2"
    lab.weft("delete", "servers", idle)
    lab.weft("address", "release", given(lab, idle), "--reason", "the host is to have none")
    adapter = {"logicalSubnets": [{"resourceRef": "/logicalNetworks/hnvpa/subnets/pa2"}]}
    body = {"networkInterfaces": [{"resourceId": "br-phy", "properties": adapter}]}
    provider.apply(lab, tmp_path, ("servers", idle, body | {"providerAddressPolicy": "perHostInUse"}))
    assert server(lab, idle)["noProviderAddress"] == "nothing here needs one"
    until(lambda: json.loads(lab.weft("host", "state", idle, "-o", "json"))["connected"])
    pinging = Pinging(lab, "client", "10.2.0.20")
    lab.weft("vm", "migrate", "server", "--to", idle)
    (own,) = server(lab, idle)["providerAddresses"]
    assert own != given(lab, idle) and own in on_interface(lab, idle)
    assert f"to {own}," in lab.weft("trace", "client-eth0", "10.2.0.20")
    lab.run("delay-feed", "1")
    lab.weft("vm", "migrate", "server", "--to", busy)
    lab.run("delay-feed", "0")
    # the move is answered when the machine is there; its peers, and so what it left, come after
    until(lambda: server(lab, idle)["providerAddresses"] == [])
    until(lambda: own not in on_interface(lab, idle))
    silence = pinging.end()
    print(f"{silence.sent} pings, {silence.lost} lost, at most {silence.longest_s:.2f} s between two answers")
    assert silence.missing == ()
    provider.apply(
        lab, tmp_path, ("servers", idle, {"providerAddresses": [given(lab, idle)], "providerAddressPolicy": ""})
    )


@pytest.mark.longer
def test_virtual_subnets_share_out_several_addresses_of_their_hosts(lab, tmp_path):
    """Policy several and back: packets cross between the addresses that the VSID falls to; no ping is lost. In soak its
    machine moves meanwhile, too."""
    before = provider.own_addresses(lab)
    more = {"host1": (".52", ".53"), "host2": (".60", ".61"), "host3": (".70", ".71")}
    own = {one: [*had, *(had[0].rpartition(".")[0] + last for last in more[one])] for one, had in before.items()}
    with counting(lab, tmp_path, tuple(before), "10.2.0.20") as seen:
        pinging = Pinging(lab, "client", "10.2.0.20")
        _several_and_back(lab, tmp_path, before, own)
        silence = pinging.end()
        hosts = dict(zip(before, seen(), strict=True))
    print(f"{silence.sent} pings, {silence.lost} lost, at most {silence.longest_s:.2f} s between two answers")
    assert silence.missing == (), whereabouts(silence.missing, hosts)
    for one in before:
        until(lambda one=one: on_interface(lab, one) == before[one])


def _several_and_back(lab, folder, before, own):
    several = {"providerAddressPolicy": "several", "providerAddressCount": 3}
    assert provider.ask(lab, folder, {one: several | {"providerAddresses": own[one]} for one in own}) == own
    for to in ("", "host2", "host3") if PROFILE == "soak" else ("",):
        if to and not place_of(lab, "server").endswith(to):
            lab.weft("vm", "migrate", "server", "--to", to)
        ends = tuple(provider.reached_at(lab, "host1", one) for one in ("10.2.0.10", "10.2.0.20"))
        assert ends[0] in own["host1"] and ends[1] in own[f"host{place_of(lab, 'server')[-1]}"]
        assert set(ends).isdisjoint(each[0] for each in before.values()), "else they show nothing"
        assert provider.crossing(lab, "host1") == {ends, ends[::-1]}
    assert provider.ask(lab, folder, provider.per_host(before)) == before


def server(lab, host):
    return json.loads(lab.weft("get", "servers", host, "-o", "json"))["properties"]


def test_a_host_without_a_way_to_the_other_provider_subnets_gets_one_until_its_operator_has_one(lab, tmp_path):
    """The file names the gateway of each provider subnet. Machines on hosts of both reach each other by what the agents
    put there; what the operator puts there himself goes before it. A route of a provider subnet reaches its hosts."""
    gateways = {"host1": "192.168.1.1", "host2": "192.168.2.1", "host3": "192.168.2.1"}
    beyond = {"host1": "192.168.2.0/24", "host2": "192.168.1.0/24", "host3": "192.168.1.0/24"}
    assert all(ours(lab, host) == [] for host in gateways)
    try:
        for host in gateways:
            lab.run("host", host, "--", "ip", "route", "del", "default")
        for host, gateway in gateways.items():
            until(lambda host=host, gateway=gateway: ours(lab, host) == [(beyond[host], gateway, given(lab, host))])
            until(lambda host=host: beyond[host] in lab.run("host", host, "--", "ovs-appctl", "ovs/route/show"))
        assert ping(lab, "client", "10.2.0.20") == ping(lab, "client", "fd00:2::20") == "20 sent, 20 received"
        pinging = Pinging(lab, "client", "10.2.0.20")
        own = ("ip", "route", "add", beyond["host1"], "via", gateways["host1"], "dev", "br-phy")
        lab.run("host", "host1", "--", *own)
        until(lambda: ours(lab, "host1") == [])
        assert pinging.end().missing == ()
        lab.run("host", "host1", "--", *(word if word != "add" else "del" for word in own))
        until(lambda: len(ours(lab, "host1")) == 1)
        network = json.loads(lab.weft("get", "logicalNetworks", "hnvpa", "-o", "json"))["properties"]
        at_host1 = next(one["properties"] for one in network["subnets"] if gateways["host1"] in str(one["properties"]))
        way = {"destination": "10.99.0.0/16", "nextHop": "192.168.1.3"}
        for routes in ([{"resourceId": "far", "properties": way}], []):
            at_host1["routes"] = routes
            provider.apply(lab, tmp_path, ("logicalNetworks", "hnvpa", network))
            far = [(way["destination"], way["nextHop"], given(lab, "host1"))] * len(routes)
            both = {*far, (beyond["host1"], gateways["host1"], given(lab, "host1"))}
            until(lambda both=both: set(ours(lab, "host1")) == both)
    finally:
        for host, gateway in gateways.items():
            lab.run("host", host, "--", "ip", "route", "replace", "default", "via", gateway, "dev", "br-phy")
    for host in gateways:
        until(lambda host=host: ours(lab, host) == [])
    assert ping(lab, "client", "10.2.0.20") == "20 sent, 20 received"


def ours(lab, host):
    """Routes that the agent of a host put there: prefix, gateway, address that it sends from."""
    said = json.loads(lab.run("host", host, "--", "ip", "-j", "route", "show", "proto", "87"))
    return [(one["dst"], one["gateway"], one["prefsrc"]) for one in said]


def provider_addresses(lab, host):
    return server(lab, host)["providerAddresses"]


def place_of(lab, machine):
    return json.loads(lab.weft("get", "virtualMachines", machine, "-o", "json"))["properties"]["server"]["resourceRef"]


def on_interface(lab, host):
    said = json.loads(lab.run("host", host, "--", "ip", "-j", "address", "show", "dev", "br-phy"))
    return [one["local"] for link in said for one in link["addr_info"] if one["family"] == "inet"]


def given(lab, host):
    """What the file of the lab gives it."""
    return json.loads(lab.file.read_text())["hosts"][host]["provider_address"].partition("/")[0]


def test_a_peer_hears_of_a_renewed_mac_though_it_sends_nothing(lab):
    """Its neighbour entries would keep the old one until it sends again, and for seconds then."""
    before = mac_of(lab, "server-eth0")
    for address in ("10.2.0.20", "fd00:2::20"):
        assert ping(lab, "client", address) == "20 sent, 20 received"
        assert neighbours(lab, "client")[address] == before
    lab.weft("vm", "renew-mac", "server", "--force", "-y")
    after = mac_of(lab, "server-eth0")
    assert after != before

    def known():
        return {neighbours(lab, "client").get(address) for address in ("10.2.0.20", "fd00:2::20")}

    until(lambda: known() == {after}, known)
    assert ping(lab, "client", "10.2.0.20") == ping(lab, "client", "fd00:2::20") == "20 sent, 20 received"


def neighbours(lab, machine):
    """MACs that a namespace guest knows of others, as the API writes them, by address."""
    said = json.loads(lab.run("exec", machine, "--", "ip", "-j", "neigh", "show", "dev", "eth0"))
    return {one["dst"]: one["lladdr"].replace(":", "").upper() for one in said if "lladdr" in one}


def test_a_host_that_left_the_file_is_named(lab, tmp_path):
    fewer = tmp_path / "fewer.yaml"
    documents = (EXAMPLES / "three-hosts.yaml").read_text().split("\n---\n")
    fewer.write_text("\n---\n".join(d for d in documents if "resourceId: host3\n" not in d and "/host3" not in d))
    lab.run("up", FILE)  # which has other words for what the tests before asked for
    said = lab.run("up", str(fewer))
    assert f"hosts host3 (they go with the whole lab: weft lab --name {lab.name} down)" in said
    assert lab.run("up", FILE).strip() == f"lab '{lab.name}' is up: {lab.run('url').strip()}"
