"""A lab that is up, and what may happen to it: up again, crashes of each part, a machine that stops, a second lab."""

import json
import subprocess
import sys

import pytest

from tests.e2e.labs import EXAMPLES, Lab, Pinging, last_line, namespaces, own, ping
from tests.waiting import until

pytestmark = pytest.mark.root
FILE = str(EXAMPLES / "two-tenants.yaml")


@pytest.fixture
def lab(shared):
    return shared


def test_up_twice_changes_nothing(lab):
    before = lab.run("status"), grants(lab)
    said = lab.run("up", FILE)
    assert said.strip() == f"lab '{lab.name}' is up: {lab.run('url').strip()}"
    assert (lab.run("status"), grants(lab)) == before


def test_up_again_after_everything_was_killed(lab):
    before = grants(lab)
    for part in (["controller"], ["agent", "host1"], ["agent", "host2"], ["switch", "host1"], ["switch", "host2"]):
        assert "killed" in lab.run("kill", *part)
    assert "dead" in lab.run("status")
    assert lab.run("url").startswith("http://127.0.0.1:")
    lab.run("up", FILE)
    assert "dead" not in lab.run("status")
    assert ping(lab, "blue1", "10.1.1.12") == "20 sent, 20 received"
    assert grants(lab) == before


def grants(lab):
    """Interface, MAC and address of each, without what tells of the agents' state."""
    found = []
    for one in json.loads(lab.weft("get", "networkInterfaces", "-o", "json")):
        addresses = [each["properties"]["privateIPAddress"] for each in one["properties"]["ipConfigurations"]]
        found.append((one["resourceId"], one["instanceId"], one["properties"]["privateMacAddress"], addresses))
    return found


def test_packets_flow_while_the_agent_is_dead_and_when_it_comes_back(lab):
    pinging = Pinging(lab, "blue1", "10.1.1.12")
    lab.run("kill", "agent", "host1")
    lab.run("kill", "agent", "host2")
    pinging.more(50)
    lab.run("start", "agent", "host1")
    lab.run("start", "agent", "host2")
    assert pinging.end().missing == ()


def where(lab):
    """Host of each machine, as the ledger has it; those that move."""
    machines = json.loads(lab.weft("get", "virtualMachines", "-o", "json"))
    places = {one["resourceId"]: one["properties"]["server"]["resourceRef"].rpartition("/")[2] for one in machines}
    return places, {one["resourceId"] for one in machines if one["properties"].get("move")}


def test_the_controller_dies_in_the_middle_of_an_evacuation_and_no_packet_is_lost(lab):
    """blue2, bluedb and red2 leave host2, one after the other, while the feed is late."""
    lab.run("delay-feed", "0.3")
    pings = [Pinging(lab, "blue1", "10.1.1.12"), Pinging(lab, "blue1", "10.1.2.2"), Pinging(lab, "red1", "10.1.1.12")]
    url = lab.run("url").strip()
    words = ["host", "evacuate", "host2", "--to", "host1", "--at-once", "1"]
    with subprocess.Popen(
        [sys.executable, "-m", "weft", *words],
        env={**lab.environment, "WEFT_CONTROLLER": url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as evacuating:
        until(lambda: where(lab)[1])
        lab.run("kill", "controller")
        for one in pings:
            one.more(100)
        lab.run("start", "controller")
        assert evacuating.wait(200) == 0, "it asks the controller again, and waits for agents that are not back yet"
    places, moving = where(lab)
    assert (set(places.values()), moving) == ({"host1"}, set()), "also of the one in the middle nobody is to hear more"
    assert [one.end().missing for one in pings] == [(), (), ()]
    lab.run("delay-feed", "0")


def test_packets_come_back_after_the_switch_does(lab):
    lab.run("kill", "switch", "host2")
    assert "0 received" in last_line(lab.run("ping", "blue1", "10.1.1.12", "-c", "2", "-i", "0.1", code=1))
    lab.run("start", "switch", "host2")
    until(lambda: not lab_ping_fails(lab))
    assert ping(lab, "blue1", "10.1.1.12") == "20 sent, 20 received"


def lab_ping_fails(lab):
    waiting = lab.begin("ping", "blue1", "10.1.1.12", "-c", "1")
    waiting.communicate(timeout=30)
    return waiting.returncode != 0


def test_a_stopped_machine_answers_nothing_and_starts_again(lab):
    lab.weft("vm", "stop", "blue2")
    assert "0 received" in last_line(lab.run("ping", "blue1", "10.1.1.12", "-c", "2", "-i", "0.1", code=1))
    assert "does not run" in lab.run("ping", "blue2", "10.1.1.11", code=1)
    lab.weft("vm", "start", "blue2")
    # blue1's own kernel may still be giving up on what it asked while blue2 was off
    until(lambda: not lab_ping_fails(lab))
    assert ping(lab, "blue1", "10.1.1.12") == "20 sent, 20 received"


def test_two_labs_of_the_same_file_side_by_side(lab):
    one, two = Lab(own("one"), lab.folder), lab
    try:
        one.run("up", FILE)
        assert one.run("url") != two.run("url")
        assert ping(one, "blue1", "10.1.1.12") == ping(two, "blue1", "10.1.1.12") == "20 sent, 20 received"
    finally:
        one.end()
    assert ping(two, "red1", "10.1.1.12") == "20 sent, 20 received"
    assert namespaces(one.name) == []
