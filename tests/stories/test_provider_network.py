"""Stories about hosts on the provider network: addresses that another has, adapters, and what crosses it in clear."""

import pytest

from tests.stories.desk import Desk
from tests.stories.tenants import blue_and_red
from weft.fakes.outside import ProviderLan

HOST2 = "192.168.2.20"
OTHER = "02-AA-00-00-00-07"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of the provider network every few seconds."""
    monkeypatch.setattr("weft.agent.claims.AGAIN_SECONDS", 0.05)
    monkeypatch.setattr("weft.agent.provider_keeper.LOOK_SECONDS", 0.05)


async def status_of(desk: Desk, host: str) -> tuple[str, str]:
    """configurationState of a server: its status, and all that it says."""
    found = (await desk.get(f"/networking/v1/servers/{host}"))["properties"]["configurationState"]
    return found["status"], " ".join(one["message"] for one in found["detailedInfo"])


async def test_story_x4_a_provider_address_that_another_has_is_not_used(desk: Desk) -> None:
    """Found before a tunnel starts from it; named with the other's MAC address; used once it is free."""
    lan = desk.lans["host2"] = ProviderLan()
    lan.claim(HOST2, OTHER)
    await blue_and_red(desk)
    assert [one for one in (await desk.center.switches["host2"].facts()).ports if one.tunnel] == []
    assert await desk.answers("blue1", "10.1.1.12") == []
    status, words = await status_of(desk, "host2")
    assert status == "Failure" and HOST2 in words and OTHER in words
    (conflict,) = await desk.conflicts("foreign")
    assert conflict["address"] == HOST2 and conflict["holders"][0]["resourceRef"] == "/servers/host2"
    assert OTHER in conflict["remedy"] and "uses it for nothing" in conflict["remedy"]
    state = await desk.get("/weft/v1/servers/host2/state")
    assert state["providerNetwork"]["otherHolders"] == [{"providerAddress": HOST2, "mac": OTHER, "used": False}]
    lan.give_up(HOST2)
    await desk.eventually_answers("blue1", "10.1.1.12", ["blue2"])

    async def mended() -> bool:
        return not await desk.conflicts("foreign") and (await status_of(desk, "host2"))[0] == "Success"

    await desk.eventually(mended)


async def test_story_x4_one_that_another_claims_later_is_kept_and_told(desk: Desk) -> None:
    lan = desk.lans["host2"] = ProviderLan()
    await blue_and_red(desk)
    await desk.eventually_answers("blue1", "10.1.1.12", ["blue2"])
    lan.claim(HOST2, await desk.mac("blue1"))

    async def told() -> bool:
        """It answers probes, too, so it is not forgotten meanwhile."""
        found = await desk.conflicts("foreign")
        return bool(found) and [one["resourceRef"] for one in found[0]["holders"]] == [
            "/servers/host2",
            "/networkInterfaces/blue1",
        ]

    await desk.eventually(told)
    status, words = await status_of(desk, "host2")
    assert status == "Warning" and "also" in words
    assert await desk.answers("blue1", "10.1.1.12") == ["blue2"], "nobody takes a host's tunnels from it by one packet"
    lan.give_up(HOST2)

    async def mended() -> bool:
        return not await desk.conflicts("foreign") and (await status_of(desk, "host2"))[0] == "Success"

    await desk.eventually(mended)
