"""A lab of three hosts that is up: a machine moves and loses nothing, a host leaves the file."""

import json
import re
import time

import pytest

from tests.e2e.labs import EXAMPLES, Pinging, mac_of, ping

pytestmark = pytest.mark.root
FILE = str(EXAMPLES / "three-hosts.yaml")


@pytest.fixture
def lab(shared):
    return shared


@pytest.mark.alone
@pytest.mark.parametrize("delay", [0, 1])
def test_a_move_between_hosts_of_one_provider_subnet_loses_nothing(lab, delay):
    """VXLAN, both families, also while the feed is late."""
    assert ping(lab, "client", "fd00:2::20") == "20 sent, 20 received"
    lab.run("delay-feed", str(delay))
    pinging = Pinging(lab, "client", "10.2.0.20")
    lab.weft("vm", "migrate", "server", "--to", "host3")
    assert pinging.end().lost == 0
    assert re.search(r"machine +server +running on host3", lab.run("status"))
    lab.run("delay-feed", "0")
    assert ping(lab, "client", "fd00:2::20") == "20 sent, 20 received"


def test_a_peer_hears_of_a_renewed_mac_though_it_sends_nothing(lab):
    """Its neighbour entries would keep the old one until it sends again, and for seconds then."""
    before = mac_of(lab, "server-eth0")
    for address in ("10.2.0.20", "fd00:2::20"):
        assert ping(lab, "client", address) == "20 sent, 20 received"
        assert neighbours(lab, "client")[address] == before
    lab.weft("vm", "renew-mac", "server", "--force", "-y")
    after = mac_of(lab, "server-eth0")
    assert after != before
    until = time.monotonic() + 20
    while {neighbours(lab, "client").get(address) for address in ("10.2.0.20", "fd00:2::20")} != {after}:
        assert time.monotonic() < until, neighbours(lab, "client")
        time.sleep(0.1)
    assert ping(lab, "client", "10.2.0.20") == ping(lab, "client", "fd00:2::20") == "20 sent, 20 received"


def neighbours(lab, machine):
    """MACs that a namespace guest knows of others, as the API writes them, by address."""
    said = json.loads(lab.run("exec", machine, "--", "ip", "-j", "neigh", "show", "dev", "eth0"))
    return {one["dst"]: one["lladdr"].replace(":", "").upper() for one in said if "lladdr" in one}


def test_a_host_that_left_the_file_is_named(lab, tmp_path):
    fewer = tmp_path / "fewer.yaml"
    documents = (EXAMPLES / "three-hosts.yaml").read_text().split("\n---\n")
    fewer.write_text("\n---\n".join(d for d in documents if "resourceId: host3\n" not in d and "/host3" not in d))
    said = lab.run("up", str(fewer))
    assert f"hosts host3 (they go with the whole lab: weft lab --name {lab.name} down)" in said
    assert lab.run("up", FILE).strip() == f"lab '{lab.name}' is up: {lab.run('url').strip()}"
