"""What an accessControlList answers of its hosts: what its rules decided on all of them, and whether all have it."""

from typing import Any

import msgspec
import pytest

from tests.cluster.control import deliver
from tests.cluster.feed_agent import FeedAgent
from tests.unit.api.conftest import (
    FRONT,
    Api,
    HandClock,
    N,
    W,
    interface_in,
    machine_with,
    with_filters_routes_and_peers,
)
from weft.control.controller import Controller
from weft.wire.messages import DEFAULT_IN, LOST, REFUSED, Facts


@pytest.fixture
async def filtered(fabric: Api, controller: Controller) -> Api:
    """List `front` with the rule `ssh` for blue/web, where host1 and host2 have a machine each."""
    await with_filters_routes_and_peers(fabric, controller)
    for number in (1, 2):
        await fabric.made(f"{N}/networkInterfaces/n{number}", interface_in())
        await fabric.made(f"{W}/virtualMachines/vm{number}", machine_with(f"n{number}", f"host{number}"))
    return fabric


def number_of(controller: Controller) -> int:
    found: Any = controller.state.get("accessControlLists", "front")
    return int(found.properties.list_number)


async def connected(controller: Controller, server: str, hypervisor: str = "lab") -> FeedAgent:
    agent = FeedAgent(server, hypervisor)
    agent.connect(controller.publisher)
    await deliver(agent)
    return agent


def counting(controller: Controller, ssh: tuple[int, int], denied: tuple[int, int] = (0, 0)) -> Facts:
    number = number_of(controller)
    told = [(priority, *count) for priority, count in ((110, ssh), (DEFAULT_IN, denied)) if count[0]]
    return Facts(
        hits=tuple((number, priority, packets) for priority, packets, _ in told),
        hit_bytes=tuple(octets for *_, octets in told),
    )


async def ssh_hits(api: Api) -> Any:
    found = await api.body(f"{N}{FRONT}")
    [rule] = found["properties"]["aclRules"]
    alone = await api.body(f"{N}{FRONT}/aclRules/ssh")
    assert alone["properties"]["hits"] == rule["properties"]["hits"]
    return rule["properties"]["hits"]


async def test_hits_are_the_sum_over_hosts(filtered: Api, controller: Controller, clock: HandClock) -> None:
    assert await ssh_hits(filtered) == {"packets": 0, "bytes": 0}
    one, two = await connected(controller, "host1"), await connected(controller, "host2")
    one.say(counting(controller, (3, 180), (2, 84)))
    two.say(counting(controller, (4, 240)))
    # whatever they counted before they were heard may be of last year
    assert await ssh_hits(filtered) == {"packets": 7, "bytes": 420}
    clock.seconds += 60
    two.say(counting(controller, (5, 300)))
    hits = await ssh_hits(filtered)
    assert (hits["packets"], hits["bytes"]) == (8, 480)
    assert hits["last"] == "2023-11-14T22:31:00Z"
    found = (await filtered.body(f"{N}{FRONT}"))["properties"]
    assert found["inboundDefaultHits"] == {"packets": 2, "bytes": 84}
    assert found["outboundDefaultHits"] == {"packets": 0, "bytes": 0}
    # what is told again is counted once; who is away counts with what it told last; a switch may begin anew
    two.say(counting(controller, (5, 300)))
    await one.disconnect()
    assert (await ssh_hits(filtered))["packets"] == 8
    clock.seconds += 60
    two.say(counting(controller, (1, 60)))
    told = {"packets": 9, "bytes": 540, "last": "2023-11-14T22:32:00Z"}
    assert await ssh_hits(filtered) == told
    # the machine has gone with the list, and comes back
    two.say(Facts())
    assert await ssh_hits(filtered) == told
    two.say(counting(controller, (2, 120)))
    assert (await ssh_hits(filtered))["packets"] == 11


async def test_agents_that_count_no_bytes_yet(filtered: Api, controller: Controller) -> None:
    agent = await connected(controller, "host1")
    agent.say(Facts(hits=((number_of(controller), 110, 3),)))
    assert await ssh_hits(filtered) == {"packets": 3, "bytes": 0}


async def test_a_rule_that_is_another_one_now_was_not_hit(filtered: Api, controller: Controller) -> None:
    agent = await connected(controller, "host1")
    for packets in (1, 2):
        agent.say(counting(controller, (packets, 60 * packets)))
    assert "last" in await ssh_hits(filtered)
    found = (await filtered.body(f"{N}{FRONT}"))["properties"]
    rules = found["aclRules"]
    rules[0]["properties"]["description"] = "for Ann"
    await filtered.put(f"{N}{FRONT}", {**found, "aclRules": rules})
    assert "last" in await ssh_hits(filtered)
    rules[0]["properties"]["destinationPortRange"] = "2222"
    await filtered.put(f"{N}{FRONT}", {**found, "aclRules": rules})
    assert await ssh_hits(filtered) == {"packets": 0, "bytes": 0}
    # the host filters by the rule of before for a moment, and tells so again
    agent.say(counting(controller, (2, 120), (1, 42)))
    assert await ssh_hits(filtered) == {"packets": 0, "bytes": 0}
    agent.say(counting(controller, (1, 60)))
    assert (await ssh_hits(filtered))["packets"] == 1


async def test_what_a_server_counted_that_is_gone_stays_counted(filtered: Api, controller: Controller) -> None:
    agent = await connected(controller, "host1")
    agent.say(counting(controller, (3, 180)))
    await agent.disconnect()
    await filtered.delete(f"{N}/servers/host1?force=true&reason=gone")
    assert await ssh_hits(filtered) == {"packets": 3, "bytes": 180}


async def state_of(api: Api) -> Any:
    found = (await api.body(f"{N}{FRONT}"))["properties"].get("configurationState")
    return found if found is None else (found["status"], [one["message"] for one in found["detailedInfo"]])


async def test_a_list_is_in_place_when_all_its_hosts_have_it(filtered: Api, controller: Controller) -> None:
    assert await state_of(filtered) is None
    one, two = FeedAgent("host1", "lab"), FeedAgent("host2", "lab")
    one.connect(controller.publisher)
    assert await state_of(filtered) == ("InProgress", [])
    await deliver(one)
    assert await state_of(filtered) == ("Success", [])
    two.connect(controller.publisher)
    await deliver(one, two)
    await filtered.put(f"{N}{FRONT}", {"aclRules": []})
    await deliver(one)
    assert await state_of(filtered) == ("InProgress", [])
    await deliver(two)
    assert await state_of(filtered) == ("Success", [])
    await two.disconnect()
    told = "host2: The agent of host2 is not connected; packets flow on."
    assert await state_of(filtered) == ("Failure", [told])


async def test_a_host_that_carries_out_no_lists_is_named(filtered: Api, controller: Controller) -> None:
    await connected(controller, "host1")
    await connected(controller, "host2", "hyperv")
    assert await state_of(filtered) == ("Failure", ["host2: it carries out no access lists: all passes."])


async def test_what_agents_count_beside_is_in_state_and_metrics(filtered: Api, controller: Controller) -> None:
    agent = await connected(controller, "host1")
    agent.say(msgspec.structs.replace(counting(controller, (3, 180)), counts={REFUSED: 7}))
    state = await filtered.body(f"{W}/servers/host1/state")
    assert state["counts"] == {REFUSED: 7, LOST: 0}
    assert [(one["rule"], one["packets"], one["bytes"]) for one in state["accessRules"]] == [("ssh", 3, 180)]
    page = (await filtered.get("/metrics")).text
    assert 'weft_access_rule_bytes_total{list="front",rule="ssh",server="host1"} 180.0' in page
    assert 'weft_agent_services_refused_total{server="host1"} 7.0' in page
    assert 'weft_agent_packets_lost_total{server="host1"} 0.0' in page
    assert 'weft_agent_packets_lost_total{server="host2"}' not in page
