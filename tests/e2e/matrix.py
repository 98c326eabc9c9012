"""The isolation matrix with real packets: what each guest of a lab, and the wire, sends to reach what is not theirs.

Every frame bears a number, in its payload or behind its end, where no header reaches: whoever gets a frame is known
to have got that one, whatever was rewritten on its way. Sockets in the guests' own namespaces send and listen.
"""

import contextlib
import itertools
import json
import re
import select
import socket
import struct
import time

import httpx
from msgspec.structs import replace
from pyroute2 import netns

from tests.cluster.lies import GRE, Card, from_guest, from_physical, from_wire, is_honest, may_get
from weft.fakes import packet as p
from weft.fakes.frames import frame
from weft.model.values import ip_text, pack_ip

ANY_ADDRESS = "10.1.1.11"
"""What a guest takes that may have any."""
_MARK = b"\xfeLIE"
_OUTGOING = 4
_AT_ONCE = 40
"""So many frames are under way: more would overrun a queue, and what is lost tells nothing."""
_QUIET_SECONDS = 0.3
_PATIENCE_SECONDS = 60.0
_GROUPS = (
    (p.BROADCAST, "255.255.255.255"),
    (0x01005E010203, "239.1.2.3"),
    (0x333300010203, "ff05::1:203"),
)
"""MAC and IP address of everybody, and of groups (RFC 1112 section 6.4, RFC 2464 section 7)."""
_KINDS = {"gre": socket.IPPROTO_GRE, "vxlan": socket.IPPROTO_UDP}


@contextlib.contextmanager
def inside(namespace):
    netns.pushns(namespace)
    try:
        yield
    finally:
        netns.popns()


class Matrix:
    """Of one lab, as it stands now. Use as a context."""

    def __init__(self, lab):
        self._lab = lab
        with httpx.Client(base_url=json.loads(lab.file.read_text())["url"], timeout=30) as client:
            self.cards = list(_cards(client))
            self._hosts = {
                each["resourceId"]: each["properties"]["providerAddresses"][0]
                for each in _listed(client, "networking/v1/servers")
            }
            self.cards = [one._replace(stands=_standing(client, one)) for one in self.cards]
        self._taps = {}
        self._numbers = itertools.count(1)
        self._sent = {}
        """What was sent under a number, and who may get it, in words and machines."""
        self._ended = 0
        self._arrived = {}
        """Machines that got what was sent under a number."""

    def __enter__(self):
        for card in self.cards:
            with inside(f"{self._lab.name}-{card.machine}"):
                tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
                tap.bind(("eth0", 0))
            self._taps[card.machine] = tap
        with inside(f"{self._lab.name}-@router"):
            self._wire = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
            self._switches = [self._switch(name) for _, name in socket.if_nameindex() if re.fullmatch(r"net\d+", name)]
        return self

    @staticmethod
    def _switch(name):
        """Sends frames out of every port of a bridge of the physical network."""
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        made.bind((name, 0))
        return made

    def __exit__(self, *_):
        for tap in (*self._taps.values(), self._wire, *self._switches):
            tap.close()

    def guests_lie(self, of=()):
        """All that each may send to reach each of another tenant; returns how many. `of`: only what is sent by these
        machines, or to them."""
        stands = [text for card in self.cards for text in card.stands]
        for one, other in itertools.permutations(self.cards, 2):
            if one.tenant == other.tenant or (of and not {one.machine, other.machine} & set(of)):
                continue
            for lie in from_guest(one, other, stands):
                kin = {card.machine for card in self.cards if card.tenant == one.tenant}
                may = kin if is_honest(lie, one) else {one.machine}
                self._send(self._taps[one.machine].send, lie, f"{lie} of {one.machine}", may)
        return self._end()

    def wire_lies(self):
        """The same of the provider network, from the router between the hosts, under any outer source."""
        sources = {pack_ip(address): host for host, address in self._hosts.items()}
        vsids = {card.vsid for card in self.cards}
        tunnelled = [card for card in self.cards if card.is_tunnelled]
        for one in (card for card in self.cards if card.vlan is None):
            for vsid, outer in from_wire(one, self._hosts[one.host], sources, vsids):
                sender = sources.get(outer.source)
                there = {card.tenant for card in self.cards if card.host == sender}
                may = {
                    card.machine
                    for card in tunnelled
                    if card.vsid == vsid and card.tenant in there and not outer.inner.vlan_tci
                }
                to = (self._hosts[one.host], 0)
                words = f"{outer.kind} from {ip_text(outer.source)}, VSID {vsid}, {outer.inner} for {one.machine}"
                self._send(lambda sent, to=to: self._wire.sendto(sent, to), outer.inner, words, may, outer)
        return self._end()

    def frames_lie(self):
        """The same of the physical network, in frames of every VLAN, with two tags, and as if they were rewritten."""
        before = set(self._sent)
        for one in self.cards:
            for sent in from_physical(one, self.cards, self._hosts.values()):
                tenants = {card.tenant for card in self.cards if card.machine in may_get(sent, self.cards)}
                # a kernel quotes what it refuses to whom it takes for the sender
                may = {card.machine for card in self.cards if card.tenant in tenants}
                for switch in self._switches:
                    self._send(switch.send, sent, f"{sent} for {one.machine}", may)
        count = self._end()
        kinds = {"VLAN": lambda card: card.vlan, "rewritten": lambda card: card.stands}
        for kind, is_of in kinds.items():
            names = {card.machine for card in self.cards if is_of(card)}
            mine = {number for number, (_, may) in self._sent.items() if number not in before and may & names}
            assert not names or mine & self._arrived.keys(), f"nothing for {kind} came at all: the silence says nothing"
        return count

    def honest(self):
        """What must arrive, so that silence means something: from each guest to each of its subnet, whose
        kernel may quote it in a refusal."""
        pairs = [
            (one, other, version)
            for one, other in itertools.permutations(self.cards, 2)
            for version in (4, 6)
            if (one.tenant, one.vsid) == (other.tenant, other.vsid) and one.address(version) and other.address(version)
        ]
        until = time.monotonic() + _PATIENCE_SECONDS
        while pairs:
            wanted = {}
            for one, other, version in pairs:
                send, words = self._taps[one.machine].send, f"{one} to {other} by IPv{version}"
                ends = one.address(version), other.address(version)
                sent = p.udp((one.mac, other.mac), ends, (9, 9), "")
                wanted[self._send(send, sent, words, {one.machine, other.machine})] = (one, other, version)
            self._arrived.clear()
            self._end()
            # a queue of a busy machine may lose one
            pairs = [pair for number, pair in wanted.items() if number not in self._arrived]
            assert not pairs or time.monotonic() < until, f"never came: {pairs}"

    def loud(self):
        """Broadcast and multicast reach everybody of the sender's subnet, and nobody else; they do not leave the host
        where headers are rewritten."""
        hear = {
            one: {
                other.machine
                for other in self.cards
                if other != one
                and (one.tenant, one.vsid) == (other.tenant, other.vsid)
                and (one.host == other.host or not one.stands)
            }
            for one in self.cards
        }
        until = time.monotonic() + _PATIENCE_SECONDS
        missing = [(one, *group) for one in self.cards for group in _GROUPS if one.address(p.version(group[1]))]
        while missing:
            asked = {}
            for one, mac, address in missing:
                sent = p.udp((one.mac, mac), (one.address(p.version(address)), address), (9, 9), "")
                words, may = f"{one} to {address}", hear[one]
                asked[self._send(self._taps[one.machine].send, sent, words, may)] = (one, mac, address)
            self._arrived.clear()
            self._end()
            missing = [each for number, each in asked.items() if not hear[each[0]] <= self._arrived.get(number, set())]
            assert not missing or time.monotonic() < until, f"not heard by all: {missing}"

    def _send(self, send, packet, words, may, outer=None):
        number = next(self._numbers)
        self._sent[number] = (words, may)
        mark = _MARK + number.to_bytes(4)
        if packet.ip_proto in (p.UDP, GRE):
            # a Linux bridge cuts off what stands behind an IP packet
            marked = frame(replace(packet, payload=mark.decode("latin-1")))
        else:
            marked = frame(packet) + mark
        send(_outer(outer, marked) if outer is not None else marked)
        if number % _AT_ONCE == 0:
            self._listen(0.02)
        return number

    def _end(self):
        """How many were sent since the last end. What was sent before stays known: it may still come."""
        self._listen(_QUIET_SECONDS)
        before, self._ended = self._ended, len(self._sent)
        return self._ended - before

    def _listen(self, quiet_s):
        names = {tap: machine for machine, tap in self._taps.items()}
        while ready := select.select(list(names), [], [], quiet_s)[0]:
            for tap in ready:
                data, address = tap.recvfrom(65536)
                place = data.rfind(_MARK)
                if address[2] == _OUTGOING or place < 0:
                    continue
                number = int.from_bytes(data[place + 4 : place + 8])
                words, may = self._sent[number]
                self._arrived.setdefault(number, set()).add(names[tap])
                assert names[tap] in may, f"{words} reached {names[tap]}"


def _outer(outer, inner):
    """An IP packet of the provider network; the kernel fills in length and checksum."""
    if outer.kind == "gre":
        body = struct.pack("!HHI", 0x2000, 0x6558, outer.key) + inner
    else:
        body = struct.pack("!HHHHII", 0xC000, 4789, 16 + len(inner), 0, 0x08000000, outer.key << 8) + inner
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, _KINDS[outer.kind], 0)
    return head + outer.source + outer.destination + body


def _standing(client, card):
    """Provider addresses that stand for those of a card, as its host is told."""
    told = client.get(f"/weft/v1/servers/{card.host}/policy").raise_for_status().json()["lookupRecords"]
    return tuple(
        one["providerAddress"]
        for one in told
        if one.get("rule") == "TranslationMethodNat"
        and one["virtualSubnetId"] == card.vsid
        and one["customerAddress"] in card.addresses
    )


def _listed(client, path):
    return client.get(f"/{path}").raise_for_status().json()["value"]


def _cards(client):
    """What runs, by the controller's word."""
    interfaces = {each["resourceId"]: each for each in _listed(client, "networking/v1/networkInterfaces")}
    places = {}
    for kind, vsid in (("virtualNetworks", "virtualSubnetId"), ("logicalNetworks", "vlanID")):
        for network in _listed(client, f"networking/v1/{kind}"):
            for subnet in network["properties"]["subnets"]:
                ref = f"/{kind}/{network['resourceId']}/subnets/{subnet['resourceId']}"
                # segments of one network are as far apart as two tenants
                tenant = network["resourceId"] if kind == "virtualNetworks" else ref
                places[ref.lower()] = (tenant, int(subnet["properties"][vsid]))
    for machine in _listed(client, "weft/v1/virtualMachines"):
        properties = machine["properties"]
        if properties["powerState"] != "Running":
            continue
        name = properties["networkInterfaces"][0]["resourceRef"].rpartition("/")[2]
        own = interfaces[name]["properties"]
        configurations = [each["properties"] for each in own["ipConfigurations"]]
        tenant, vsid = places[configurations[0]["subnet"]["resourceRef"].lower()]
        yield Card(
            machine["resourceId"],
            properties["server"]["resourceRef"].rpartition("/")[2],
            tenant,
            vsid,
            int(own["privateMacAddress"], 16),
            tuple(each.get("privateIPAddress") or ANY_ADDRESS for each in configurations),
            free=not configurations[0].get("privateIPAddress"),
        )
