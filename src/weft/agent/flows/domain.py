"""The records of one routing domain, indexed for the flow builders: which parts of the pipeline does a record touch?

Kept by table.py. Pure; no flows here. `put` and `remove` return the parts to build again; both are idempotent.
"""

from collections import Counter
from collections.abc import Collection
from typing import Any, TypeVar

from weft.model.records import (
    CustomerRoute,
    GatewayRecord,
    LookupRecord,
    NetworkRecord,
    NetworkSettings,
    PeerNetwork,
    RecordKey,
    SubnetOptions,
    SubnetRecord,
    TunnelEndpoint,
    UserRoute,
)
from weft.model.values import Mac, PackedIp, Rdid, Vsid

Kind = TypeVar("Kind", bound=NetworkRecord)

Part = tuple[str | int | bytes, ...]
"""A part of the pipeline that is built as a whole; the first element says which builder. No two parts share a flow:

("fixed",)  ("tunnel", port number)  ("port", instance id)
("subnet", VSID)  ("gateway", VSID, prefix)  ("address", VSID, customer address)  ("mac", VSID, MAC)  ("group", VSID)
("exit", RDID)  ("endpoint", RDID, provider address)  ("route", RDID, prefix, prefix length)
("user", VSID, prefix, prefix length)  ("peer", RDID, RDID of the other)
("list", number, NamedBy)  ("rule", number, NamedBy, priority)  ("scope", RDID)
"""


class Domain:
    """One routing domain as this host was told of it."""

    def __init__(self, rdid: Rdid) -> None:
        self.rdid = rdid
        self.records: dict[RecordKey, NetworkRecord] = {}
        self.settings: NetworkSettings | None = None
        self.subnets_of: dict[Vsid, set[PackedIp]] = {}
        """Prefixes per virtual subnet: two where it has both families."""
        self.routes: dict[tuple[PackedIp, int], dict[Vsid, CustomerRoute]] = {}
        self.addresses_of: dict[tuple[Vsid, Mac], tuple[PackedIp, ...]] = {}
        """Customer addresses per MAC, lowest first."""
        self.hosts_in: dict[Vsid, Counter[PackedIp]] = {}
        """Provider addresses per virtual subnet, with the number of lookup records that point there."""
        self.peers: set[Rdid] = set()
        """The networks that this one is routed to."""

    @property
    def rewriting(self) -> bool:
        """Do its packets travel with their addresses rewritten, without a tunnel?"""
        return self.settings is not None and self.settings.encapsulation == "rewrite"

    def find(self, kind: type[Kind], *named: int | bytes) -> Kind | None:
        """The record of a kind, by what stands behind the tag in its key."""
        tag: Any = kind.__struct_config__.tag  # a number, as every record's
        record = self.records.get((tag, *named))
        return record if isinstance(record, kind) else None

    @property
    def gateway(self) -> GatewayRecord | None:
        """The way out of the network."""
        return self.find(GatewayRecord)

    @property
    def subnets(self) -> list[SubnetRecord]:
        found = [
            self.find(SubnetRecord, vsid, prefix) for vsid, prefixes in self.subnets_of.items() for prefix in prefixes
        ]
        return [one for one in found if one is not None]

    def who(self) -> list[TunnelEndpoint]:
        """The hosts with ports in the network, by provider address."""
        return [record for record in self.records.values() if isinstance(record, TunnelEndpoint)]

    def endpoints(self) -> list[PackedIp]:
        return [record.provider_address for record in self.who()]

    def has_endpoint(self, address: PackedIp) -> bool:
        """Is a host with ports in the network at this provider address?"""
        return self.find(TunnelEndpoint, address) is not None

    def parts(self) -> set[Part]:
        """Every part that any record here touches."""
        return {part for record in self.records.values() for part in self._touched(record)}

    def parts_at(self, addresses: Collection[PackedIp]) -> set[Part]:
        """Every part that depends on whether these provider addresses are the host's own."""
        parts: set[Part] = {("endpoint", self.rdid, one) for one in addresses if self.has_endpoint(one)}
        pointed = {vsid for vsid, hosts in self.hosts_in.items() if any(one in hosts for one in addresses)}
        parts |= {("group", vsid) for vsid in pointed}
        for record in self.records.values() if pointed else ():
            if isinstance(record, LookupRecord) and record.provider_address in addresses:
                parts.add(("mac", record.vsid, record.mac))
        return parts

    def put(self, record: NetworkRecord) -> set[Part]:
        """Take a record in, or in place of the one with its key."""
        key = record.key
        known = self.records.get(key)
        if known == record:
            return set()
        touched = set() if known is None else self.remove(key)
        self.records[key] = record
        self._index(record)
        touched |= self._touched(record)
        return touched

    def remove(self, key: RecordKey) -> set[Part]:
        record = self.records.pop(key, None)
        if record is None:
            return set()
        touched = self._touched(record)
        self._unindex(record)
        return touched

    def _touched(self, record: NetworkRecord) -> set[Part]:
        match record:
            case LookupRecord(vsid=vsid, customer_address=address, mac=mac, provider_address=host):
                parts: set[Part] = {("address", vsid, address), ("mac", vsid, mac)}
                if vsid not in self.hosts_in or self.hosts_in[vsid][host] <= 1:
                    parts.add(("group", vsid))
                return parts
            case SubnetRecord(vsid=vsid, prefix=prefix):
                return {("subnet", vsid), ("gateway", vsid, prefix)}
            case UserRoute(vsid=vsid, prefix=prefix, prefix_length=length):
                return {("user", vsid, prefix, length)}
            case SubnetOptions():
                return set()
            case _:
                return {self._only(record)}

    def _only(self, record: TunnelEndpoint | CustomerRoute | GatewayRecord | PeerNetwork | NetworkSettings) -> Part:
        """The part of a record that touches one."""
        match record:
            case TunnelEndpoint(provider_address=address):
                return ("endpoint", self.rdid, address)
            case CustomerRoute(prefix=prefix, prefix_length=length):
                return ("route", self.rdid, prefix, length)
            case GatewayRecord():
                return ("exit", self.rdid)
            case PeerNetwork(rdid=other):
                return ("peer", self.rdid, other)
            case NetworkSettings():
                return ("scope", self.rdid)

    def _index(self, record: NetworkRecord) -> None:
        match record:
            case LookupRecord(vsid=vsid, customer_address=address, mac=mac, provider_address=host):
                known = self.addresses_of.get((vsid, mac), ())
                self.addresses_of[vsid, mac] = tuple(sorted((*known, address)))
                self.hosts_in.setdefault(vsid, Counter())[host] += 1
            case SubnetRecord(vsid=vsid, prefix=prefix):
                self.subnets_of.setdefault(vsid, set()).add(prefix)
            case CustomerRoute(prefix=prefix, prefix_length=length):
                self.routes.setdefault((prefix, length), {})[record.vsid] = record
            case PeerNetwork(rdid=other):
                self.peers.add(other)
            case NetworkSettings():
                self.settings = record
            case _:
                pass

    def _unindex(self, record: NetworkRecord) -> None:
        match record:
            case LookupRecord(vsid=vsid, customer_address=address, mac=mac, provider_address=host):
                left = tuple(known for known in self.addresses_of[vsid, mac] if known != address)
                if left:
                    self.addresses_of[vsid, mac] = left
                else:
                    del self.addresses_of[vsid, mac]
                hosts = self.hosts_in[vsid]
                hosts[host] -= 1
                if not hosts[host]:
                    del hosts[host]
            case SubnetRecord(vsid=vsid, prefix=prefix):
                self.subnets_of[vsid].discard(prefix)
                if not self.subnets_of[vsid]:
                    del self.subnets_of[vsid]
            case CustomerRoute(prefix=prefix, prefix_length=length):
                del self.routes[prefix, length][record.vsid]
                if not self.routes[prefix, length]:
                    del self.routes[prefix, length]
            case PeerNetwork(rdid=other):
                self.peers.discard(other)
            case NetworkSettings():
                self.settings = None
            case _:
                pass
