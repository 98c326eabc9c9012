"""What belongs to a connection ends with it."""

from tests.unit.agent.host import running, working
from tests.unit.agent.policies import BLUE, GUESTS, RED, network_records
from weft.wire.messages import Ack, Cursor, Delta, Facts, Full


async def test_what_an_old_connection_told_is_not_acked_on_the_new_one():
    """Each connection counts anew: an old number would confirm frames that are still on their way."""
    async with running() as host:
        controller = await working(host)
        host.switch.faults.failing_steps.add("flows")
        controller.say(Delta(BLUE, 4, 11, tuple(GUESTS["blue2"].lookups("host1"))))
        await controller.until(lambda self: [one for one in self.all(Facts) if one.problems])
        controller.hang_up()
        again = host.connect()
        await again.until(lambda self: self.all(Facts))
        assert again.heard[0].cursors == (Cursor(0, 10), Cursor(RED, 10))
        host.switch.faults.failing_steps.clear()
        await again.until(lambda self: not self.all(Facts)[-1].problems)
        assert again.all(Ack) == []
        again.say(Full(BLUE, 1, 12, tuple(network_records(BLUE))))
        await again.applied(12, BLUE)
        assert [ack.applied for ack in again.all(Ack)] == [((BLUE, 1, 12),)]
