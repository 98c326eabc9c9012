"""br-int of a lab's host whose agent is stopped, by the agent's driver and by ovs-ofctl. Used by P6."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from weft.agent.ovs.switch import OvsSwitch
from weft.agent.switch import StepFailure
from weft.bench.rows import Missing
from weft.lab import commands, names
from weft.lab.state import LabFolder


class Bridge:
    """br-int of the lab's host, by the agent's driver and by ovs-ofctl."""

    def __init__(self, lab: LabFolder) -> None:
        self.rundir = lab.rundir(lab.host("host1"))
        self.socket = str(self.rundir / f"{names.INTEGRATION_BRIDGE}.mgmt")
        self.text = Path(lab.path) / "bench.flows"

    def ofctl(self, *words: str) -> None:
        commands.run(["ovs-ofctl", "-O", "OpenFlow15", "--bundle", *words[:1], f"unix:{self.socket}", *words[1:]])

    def clear(self) -> None:
        commands.run(["ovs-ofctl", "-O", "OpenFlow15", "del-flows", f"unix:{self.socket}"])

    def over(self, work: Callable[[OvsSwitch], Awaitable[float]]) -> float:
        """Seconds that `work` says, by a driver whose connections are open before, as the agent's are."""

        async def connected() -> float:
            switch = OvsSwitch(self.rundir, names.INTEGRATION_BRIDGE)
            await switch.open()
            try:
                await switch.facts()
                return await work(switch)
            finally:
                await switch.close()

        return asyncio.run(connected())


def all_done(failures: tuple[StepFailure, ...]) -> None:
    if failures:
        raise Missing(f"the switch refused: {failures[0].message}")


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
