"""What a guest has and what it was granted, in the same words; what left the file, with the way to take it away."""

from weft.lab.adjust import Absent, Nic, granted, nics


def link(name, mac, *addresses):
    return {"ifname": name, "address": mac, "addr_info": [{"local": one, "scope": where} for one, where in addresses]}


def test_a_guest_that_has_what_it_was_granted():
    shown = [
        link("lo", "00:00:00:00:00:00", ("127.0.0.1", "host")),
        link("eth10", "00:1d:d8:00:00:10"),
        link("eth2", "00:1d:d8:00:00:02", ("10.0.0.2", "global"), ("fd00::2", "global"), ("fe80::1", "link")),
    ]
    addresses = [{"properties": {"privateIPAddress": one}} for one in ("10.0.0.2", "FD00:0::2")]
    interface = {"properties": {"privateMacAddress": "001DD8000002", "ipConfigurations": addresses}}
    assert nics(shown) == (granted(interface), Nic("00:1d:d8:00:00:10", frozenset()))


def test_what_is_not_in_the_file_is_named_with_what_takes_it_away():
    assert Absent().text("weft") == ""
    said = Absent(("red2",), ("host3",)).text("lf")
    assert said.startswith("not in the file, left as they are: machines red2 (to take one away: weft vm stop NAME, ")
    assert said.endswith("; hosts host3 (they go with the whole lab: weft lab --name lf down)")
