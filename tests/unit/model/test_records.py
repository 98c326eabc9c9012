"""Records cross the network unchanged and small; keys tell them apart."""

import msgspec

from weft.model import records as r
from weft.model.values import InstanceId, Mac, Rdid, Vsid, pack_ip
from weft.wire import messages as m

LOOKUP = r.LookupRecord(Vsid(6001), pack_ip("10.1.1.11"), Mac(0x101010101105), pack_ip("192.168.1.10"))
RECORDS: tuple[r.Record, ...] = (
    r.NetworkSettings(Rdid(7), "nvgre", "/virtualNetworks/blue"),
    r.SubnetRecord(Vsid(6001), pack_ip("10.1.1.0"), 24, pack_ip("10.1.1.1")),
    r.CustomerRoute(Vsid(6001), pack_ip("10.1.1.0"), 24, pack_ip("0.0.0.0"), 255),
    r.TunnelEndpoint(pack_ip("192.168.1.10")),
    LOOKUP,
    r.ProviderAddress(pack_ip("192.168.1.10"), 24, pack_ip("192.168.1.1"), "/logicalNetworks/hnvpa"),
    r.NeededNetwork(Rdid(7), "/virtualNetworks/blue"),
    r.PortBinding(
        InstanceId("8f3c"),
        "/networkInterfaces/b1",
        Rdid(7),
        Vsid(6001),
        Mac(1),
        (pack_ip("fd00::5"),),
        pack_ip("192.168.1.10"),
    ),
    r.Machine("blue1", "Running", (InstanceId("8f3c"),), "blue1"),
    r.AccessList(
        7,
        "/accessControlLists/web",
        True,
        False,
        (
            r.AccessRule(
                "r1", 100, True, False, "TCP", (pack_ip("10.0.0.0"), 8), (0, 65535), "VIRTUALNETWORK", (22, 22), True
            ),
        ),
    ),
    r.PortAccess(InstanceId("8f3c"), ((pack_ip("10.1.1.11"), 7, 0),)),
)


def test_every_record_crosses_the_network_unchanged() -> None:
    frame = m.Delta(7, 3, 9, RECORDS, tuple(record.key for record in RECORDS), resumed=True)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(frame), type=m.ToAgent) == frame


def test_a_lookup_record_takes_at_most_64_bytes_in_its_frame() -> None:
    assert len(msgspec.msgpack.encode(m.Delta(2**31 - 1, 2**31, 2**40, (LOOKUP,)))) <= 64


def test_keys_tell_all_records_apart() -> None:
    assert len({record.key for record in RECORDS}) == len(RECORDS)


def test_tags_give_the_order_in_which_records_are_added() -> None:
    order = [record.key[0] for record in RECORDS]
    assert order == sorted(order)
