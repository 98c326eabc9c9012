"""The desk itself: what stories leave behind would be found in another test, minutes later."""

import asyncio
import gc

from tests.stories.desk import Desk


async def test_a_request_that_still_dials_when_the_controller_ends_leaves_no_connection(desk: Desk) -> None:
    """httpx forgets a connection that is opened after its client was closed; the collector finds it, as a warning."""
    asking = desk.background("GET", "/readyz")
    await asyncio.sleep(0)
    await desk.restart()
    assert asking.done()
    del asking
    gc.unfreeze()  # weft.api.serve freezes what there is when it begins
    gc.collect()
