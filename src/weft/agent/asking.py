"""Numbers of the services by which flows send packets to the agent, and how often. Pure.

Named by the flow builders and, with what answers them, in services.py. A number never means something else.
"""

from weft.agent.flows.actions import Actions, Controller, Meter
from weft.agent.flows.metering import Kind, meter_id

DHCP4, DHCP6, ROUTER_SOLICITATION, TOO_FAR, TOO_LARGE, UNKNOWN_SOURCE = range(1, 7)
REACH = 16
"""Of another host's agent, by a tunnel: see reach.py."""


def ask(service: int, port: int) -> Actions:
    """To the agent, as often as a port may."""
    return (Meter(meter_id(port, Kind.SERVICE)), Controller(service))
