"""What a host is told, as Hyper-V Network Virtualization names it. Two kinds of stream carry these records:

* one stream per virtual network (routing domain), the same bytes for every host that needs it: NetworkRecord, in
  network.py;
* one stream per host: HostRecord, in host.py, ports.py and edge.py.

A stream is a set of records by `key`; a delta puts records and removes keys. Adding goes in the order of the tags
(endpoints before lookups, networks before ports, ports before machines), removing in the reverse.
Encoded as MessagePack arrays whose first element is the tag. A tag stands beside its record in the
unions below; it is never given to another.
"""

from weft.model.records.edge import EdgeLeg, EdgeNetwork, EdgeRoute, EdgeTunnel
from weft.model.records.host import Errand, HostSettings, Machine, NeededNetwork, ProviderAddress
from weft.model.records.keys import PackedPrefix, RecordKey
from weft.model.records.network import (
    LEASE_SECONDS,
    CustomerRoute,
    GatewayRecord,
    LookupRecord,
    NetworkSettings,
    PeerNetwork,
    SubnetOptions,
    SubnetRecord,
    TunnelEndpoint,
    UserRoute,
)
from weft.model.records.ports import (
    AccessList,
    AccessRule,
    PortAccess,
    PortBinding,
    PortLearning,
    PortLimits,
    PortService,
    SegmentPort,
)

NetworkRecord = (
    NetworkSettings  # 1
    | SubnetRecord  # 2
    | CustomerRoute  # 3
    | TunnelEndpoint  # 4
    | LookupRecord  # 5
    | PeerNetwork  # 6
    | SubnetOptions  # 7
    | GatewayRecord  # 8
    | UserRoute  # 9
)
HostRecord = (
    ProviderAddress  # 11
    | NeededNetwork  # 12
    | PortBinding  # 13
    | Machine  # 14
    | HostSettings  # 15
    | AccessList  # 16
    | PortAccess  # 17
    | PortLimits  # 18
    | PortService  # 19
    | SegmentPort  # 20
    | EdgeNetwork  # 21
    | PortLearning  # 22
)
Record = NetworkRecord | HostRecord

__all__ = [
    "LEASE_SECONDS",
    "AccessList",
    "AccessRule",
    "CustomerRoute",
    "EdgeLeg",
    "EdgeNetwork",
    "EdgeRoute",
    "EdgeTunnel",
    "Errand",
    "GatewayRecord",
    "HostRecord",
    "HostSettings",
    "LookupRecord",
    "Machine",
    "NeededNetwork",
    "NetworkRecord",
    "NetworkSettings",
    "PackedPrefix",
    "PeerNetwork",
    "PortAccess",
    "PortBinding",
    "PortLearning",
    "PortLimits",
    "PortService",
    "ProviderAddress",
    "Record",
    "RecordKey",
    "SegmentPort",
    "SubnetOptions",
    "SubnetRecord",
    "TunnelEndpoint",
    "UserRoute",
]
