"""What a host is told of an interface's portSettings. Called by policy_host; a pure reading of one interface."""

from weft.core.policy_places import Interface, has_mac, instance_of
from weft.model.records import PortLimits
from weft.model.workload import PortSettings, QosSettings

_ENABLED = "Enabled"


def port_limits(interface: Interface) -> PortLimits | None:
    """None where the settings are as if there were none."""
    settings = interface.properties.port_settings or PortSettings()
    rates = settings.qos_settings or QosSettings()
    made = PortLimits(
        instance_of(interface),
        spoofing=settings.mac_spoofing_enabled == _ENABLED,
        arp_guard=settings.arp_guard_enabled == _ENABLED,
        dhcp_guard=settings.dhcp_guard_enabled == _ENABLED,
        storm=settings.storm_limit,
        outbound_mbps=rates.outbound_maximum_mbps or 0,
        inbound_mbps=rates.inbound_maximum_mbps or 0,
    )
    return made if has_mac(interface) and made != PortLimits(made.instance_id) else None
