"""Where a network's way out is at the moment: on the first of its gateways that is alive. Pure.

Called by table.py, reconcile.py, tunnels.py and the edge. A gateway that nobody has found dead counts as alive; where
all are dead the first stays, since nothing is lost by asking it.
"""

from collections.abc import Collection, Iterable, Iterator

from weft.model.records import EdgeNetwork, GatewayRecord, LookupRecord, PortBinding
from weft.model.values import InstanceId, PackedIp

Dead = Collection[PackedIp]
"""Provider addresses of gateways that do not answer."""


def carrier(gateways: Iterable[PackedIp], dead: Dead) -> PackedIp | None:
    """Provider address of the gateway that carries the network; None if it has none."""
    order = tuple(gateways)
    return next((one for one in order if one not in dead), order[0] if order else None)


def lookups_of(record: GatewayRecord | None, dead: Dead) -> Iterator[LookupRecord]:
    """The edge as others of the virtual subnet see it: a machine that is on the gateway that carries the network."""
    where = carrier(record.gateways, dead) if record is not None else None
    if record is not None and where is not None:
        for address in record.addresses:
            yield LookupRecord(record.vsid, address, record.mac, where)


def instance_of(edge: EdgeNetwork) -> InstanceId:
    """iface-id of the edge's port in the network."""
    return InstanceId(f"weft-edge-{edge.rdid}")


def binding_of(edge: EdgeNetwork) -> PortBinding:
    """The edge's port in the network, as the port of an interface."""
    return PortBinding(
        instance_id=instance_of(edge),
        network_interface=f"the edge of {edge.resource_ref}",
        rdid=edge.rdid,
        vsid=edge.vsid,
        mac=edge.mac,
        addresses=tuple(address for address, _ in edge.addresses),
        provider_address=edge.provider_address,
    )
