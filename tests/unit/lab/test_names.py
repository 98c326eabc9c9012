"""Names never clash, neither within a lab nor between two, and fit into Linux's 15 characters."""

import pytest

from weft.lab import names
from weft.model.errors import Invalid


@pytest.mark.parametrize("bad", ["", "a-b", "a b", "a/b", "x" * 17, "a.b", "lab\n"])
def test_a_lab_name_without_dash_keeps_labs_apart(bad):
    with pytest.raises(Invalid, match="letters, digits and underscores"):
        names.check_lab_name(bad)


def test_good_lab_names_stay_as_they_are():
    assert names.check_lab_name("weft_demo2") == "weft_demo2"


def test_namespaces_of_the_lab_itself_are_no_resource_ids():
    taken = {names.router_namespace("a"), names.plug_namespace("a")}
    assert all("@" in name for name in taken) and len(taken) == 2


def test_link_names_fit():
    most = 9999
    assert len(names.leg_plug(250, most)) <= 15
    assert len(names.guest_plug(most, 99)) <= 15
    assert len(names.leg_port(most)) <= 15


def test_macs_of_hosts_and_router_differ_and_are_local_unicast():
    macs = {names.nic_mac(n) for n in range(300)} | {names.router_mac(n) for n in range(300)}
    assert len(macs) == 600
    assert all(int(mac[:2], 16) & 3 == 2 for mac in macs)
