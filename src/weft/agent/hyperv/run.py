"""Runs the agent of a Hyper-V host, from anywhere: what `weft agent --driver hyperv` does. Called by __main__."""

from weft.agent.hyperv.credentials import Credentials
from weft.agent.hyperv.driver import HyperVDriver
from weft.agent.hyperv.plane import HyperVPlane
from weft.agent.hyperv.psrp import Endpoint, PsrpShell
from weft.agent.run import AgentOptions, work
from weft.wire.place import check_controller


async def run(options: AgentOptions, agent_id: str, endpoint: Endpoint, credentials: Credentials, adapter: str) -> None:
    """As weft.agent.run.run. `adapter` is the host's physical network adapter that carries the tunnels, empty for
    version 2 of network virtualization. Raises Invalid
    for credentials that cannot do, too."""
    check_controller(options.controller)
    shell = PsrpShell(endpoint, credentials)
    try:
        driver = HyperVDriver(options.server, shell, untag=not adapter)
        await work(options, agent_id, HyperVPlane(options.server, shell, adapter), driver)
    finally:
        await shell.close()
