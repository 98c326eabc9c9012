"""The portSettings of a network interface (MS-NCNBI 3.1.5.11): words and bounds. Pure.

Called by core.decide.network_interfaces. What no host does yet is refused before by the API (weft.api.words.GATES).
"""

import msgspec

from weft.core.decide.parsing import word_of
from weft.model.errors import Invalid
from weft.model.workload import PortSettings, QosSettings

_SWITCH = {"enabled": "Enabled", "disabled": "Disabled"}
_MODERATION = {one.lower(): one for one in ("Off", "On", "Default", "Adaptive", "Low", "Medium", "High")}

HIGHEST_MBPS = 1_000_000
"""A terabit a second: more than any port has, and a meter's kilobits still fit 32 bits (OpenFlow 1.3, A.3.4.5)."""

_LARGEST_COUNT = 2**32 - 1
_BOUNDS = {
    "storm_limit": ("stormLimit", _LARGEST_COUNT),
    "port_flow_limit": ("portFlowLimit", _LARGEST_COUNT),
    "vmq_weight": ("vmqWeight", 100),
    "iov_weight": ("iovWeight", 100),
    "iov_queue_pairs_requested": ("iovQueuePairsRequested", _LARGEST_COUNT),
}
_QOS_BOUNDS = {
    "outbound_reserved_value": ("qosSettings.outboundReservedValue", HIGHEST_MBPS),
    "outbound_maximum_mbps": ("qosSettings.outboundMaximumMbps", HIGHEST_MBPS),
    "inbound_maximum_mbps": ("qosSettings.inboundMaximumMbps", HIGHEST_MBPS),
}


def settled_port_settings(p: PortSettings | None, is_virtual: bool = True) -> PortSettings | None:
    """The settings as they will be stored; `is_virtual`: no address of the interface is in a logical network. Raises
    Invalid, naming the setting."""
    if p is None:
        return None
    if not is_virtual and word_of(p.mac_spoofing_enabled, _SWITCH, "portSettings.macSpoofingEnabled") == "Enabled":
        raise Invalid(
            "portSettings.macSpoofingEnabled is for interfaces in virtual networks: in a logical network an interface "
            "that may use any IP address has none of its own (Unmanaged), and always its own MAC address.",
            target="portSettings.macSpoofingEnabled",
        )
    for field, (name, most) in _BOUNDS.items():
        _check(name, getattr(p, field), most)
    return msgspec.structs.replace(
        p,
        mac_spoofing_enabled=word_of(p.mac_spoofing_enabled, _SWITCH, "portSettings.macSpoofingEnabled"),
        arp_guard_enabled=word_of(p.arp_guard_enabled, _SWITCH, "portSettings.arpGuardEnabled"),
        dhcp_guard_enabled=word_of(p.dhcp_guard_enabled, _SWITCH, "portSettings.dhcpGuardEnabled"),
        iov_interrupt_moderation=word_of(
            p.iov_interrupt_moderation, _MODERATION, "portSettings.iovInterruptModeration"
        ),
        qos_settings=_qos(p.qos_settings),
    )


def _qos(p: QosSettings | None) -> QosSettings | None:
    """0 and absent both mean no limit; a reservation above the limit could never be used."""
    if p is None:
        return None
    for field, (name, most) in _QOS_BOUNDS.items():
        _check(name, getattr(p, field) or 0, most)
    limit, reserved = p.outbound_maximum_mbps or 0, p.outbound_reserved_value or 0
    if limit and reserved > limit:
        raise Invalid(
            f"portSettings.qosSettings.outboundReservedValue {reserved} is above outboundMaximumMbps {limit}.",
            target="portSettings.qosSettings.outboundReservedValue",
        )
    return p


def _check(name: str, value: int, most: int) -> None:
    if not 0 <= value <= most:
        raise Invalid(f"portSettings.{name} {value} is not between 0 and {most}.", target=f"portSettings.{name}")
