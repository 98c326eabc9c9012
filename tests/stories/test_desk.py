"""The desk itself: what stories leave behind would be found in another test, minutes later."""

import asyncio
import gc

from tests.stories.desk import Desk, new_id
from weft.wire.client import Client, Write


async def test_a_request_that_still_dials_when_the_controller_ends_leaves_no_connection(desk: Desk) -> None:
    """httpx forgets a connection that is opened after its client was closed; the collector finds it, as a warning."""
    asking = desk.background("GET", "/readyz")
    await asyncio.sleep(0)
    await desk.restart()
    assert asking.done()
    del asking
    gc.unfreeze()  # weft.api.serve freezes what there is when it begins
    gc.collect()


async def test_who_waits_for_a_controller_that_ends_has_its_answer_from_the_next_one(desk: Desk) -> None:
    """A host does not answer, so the request is slow; it is asked again by itself, done once, and ends as it should."""
    await desk.cluster()
    await desk.machine("web", "host1")
    await desk.kill_agent("host1")
    path = "/networking/v1/virtualNetworks/blue"
    before = await desk.get(path)
    wanted = {"properties": {**before["properties"], "dhcpOptions": {"dnsServers": ["10.1.1.9"]}}}
    async with Client.connect(f"unix:{desk.socket}", new_id) as client:
        asking = asyncio.create_task(client.put(path, wanted, Write(wait_s=60)))

        async def is_done() -> bool:
            return bool((await desk.get(path))["etag"] != before["etag"])

        await desk.eventually(is_done)
        done = (await desk.get(path))["etag"]
        await desk.restart()
        assert not asking.done()
        await desk.start_agent("host1")
        assert (await asking).etag == done
