"""Steps of a cluster's life that may touch what hosts are told; policy_driver.py takes them."""

from hypothesis import strategies as st

from tests.cluster import ways_out
from weft.model.workload import QosSettings

HOSTS = ("h1", "H2", "h3")
ADDRESSES = {
    "h1": ("192.168.1.1", "192.168.2.1", "fd99::1"),
    "H2": ("192.168.1.2", "fd99::2", "192.168.2.2"),
    "h3": ("192.168.2.3",),
}
NETWORKS = {"blue": 60, "Red": 50}
INTERFACES = tuple(f"n{number}" for number in range(5))
MACHINES = ("m1", "M2", "m3")
ROUTES = {
    "out": ("0.0.0.0/0", "VirtualAppliance", "10.1.1.10"),
    "six": ("fd00:9::/32", "VirtualAppliance", "fd00:1::10"),
    "shut": ("203.0.113.0/24", "None", ""),
    "home": ("10.1.2.0/25", "VnetLocal", ""),
    "net": ("198.51.100.0/24", "Internet", ""),
}
POWERS = ("Off", "Running", "Saved")
ERRANDS = ("checkpoint", "rewriteCheckpoint")
PHASES = ("preparing", "switching", "withdrawing", "switched", "done", "failed")

LISTS = {"front": 7, "Back": 8}
WAYS_OUT = ((), ("g1",), ("g1", "g2"), ("g2", "g1"), None)
"""Gateways in order; None: no virtual gateway."""
CONNECTIONS = (
    (),
    (ways_out.leg("vlan", "/logicalNetworks/side/subnets/out", ("10.77.0.20/24",), [("10.9.0.0/16", "10.77.0.9", 0)]),),
    (ways_out.tunnel("site", ("10.20.0.10", "192.0.2.9"), "7", ("172.16.0.1/30",), [("fd09::/16", "", 5)]),),
    (
        ways_out.leg("vlan", "/logicalNetworks/Side/subnets/out", ("10.77.0.21/24",)),
        ways_out.tunnel("Site", ("10.20.0.11", "192.0.2.9"), "", (), [("10.9.0.0/16", "", 0)]),
    ),
)
SIDES = {"side": ("10.77.0.0/24", "10.77.0.0/25"), "vips": ("10.20.0.0/24", "10.20.0.0/25")}
"""Logical networks that L3 connections lead into, and that GRE connections end in."""
WAYS = ((), ("10.9.0.0/16",), ("10.9.0.0/16", "10.8.0.0/16"))
"""Where routes of a provider subnet lead."""

SETTINGS = (
    {},
    {"mac_spoofing_enabled": "Enabled"},
    {"storm_limit": 5},
    {"arp_guard_enabled": "Enabled", "dhcp_guard_enabled": "Enabled"},
    {"qos_settings": QosSettings(inbound_maximum_mbps=10)},
    {"qos_settings": QosSettings(outbound_maximum_mbps=10)},
)

pick = st.sampled_from
step = st.one_of(
    st.tuples(st.just("protocol"), pick(("NVGRE", "VXLAN"))),
    st.tuples(st.just("fabric"), pick(("192.168.1.0/24", "192.168.1.0/25", "172.16.0.0/24"))),
    st.tuples(st.just("ways"), pick(("pa1", "pa2")), pick(WAYS)),
    st.tuples(st.just("server"), pick(HOSTS), st.integers(0, 3)),
    st.tuples(st.just("shares"), pick(("", "several"))),
    st.tuples(st.just("managed"), pick(HOSTS), pick(((), ("10.0.0.1",))), st.booleans()),
    st.tuples(st.just("made"), pick(MACHINES), pick((None, 512)), pick(("", "7"))),
    st.tuples(st.just("policy"), pick(HOSTS), pick(("", "perHostInUse", "several", "perVirtualSubnet"))),
    st.tuples(st.just("subnet_address"), pick(HOSTS), pick(tuple(NETWORKS)), pick(("web", "db")), st.booleans()),
    st.tuples(st.just("pair"), pick(tuple(NETWORKS)), pick(("web", "Six"))),
    st.tuples(st.just("readdressed"), pick(HOSTS), pick(("preparing", "switched", ""))),
    st.tuples(st.just("vlans"), pick((20, 30)), pick(("10.7.0.0/24", "10.7.0.0/25"))),
    st.tuples(st.just("shop"), pick(INTERFACES), st.integers(0, 2), st.integers(1, 2)),
    st.tuples(st.just("network"), pick(tuple(NETWORKS)), st.integers(0, 3), pick(("", "t1", "T2"))),
    st.tuples(st.just("peer"), pick(tuple(NETWORKS)), st.integers(0, 2), st.booleans(), pick(("", "lends", "uses"))),
    st.tuples(st.just("settings"), pick(INTERFACES), st.integers(0, len(SETTINGS) - 1)),
    st.tuples(st.just("own_protocol"), pick(tuple(NETWORKS)), pick(("", "NVGRE", "Rewrite"))),
    st.tuples(st.just("stand"), pick(HOSTS), pick(INTERFACES), st.integers(0, 2), st.booleans()),
    st.tuples(st.just("encrypt"), pick(tuple(NETWORKS)), st.sets(pick(("web", "db")))),
    st.tuples(st.just("says"), pick(HOSTS), st.booleans()),
    st.tuples(st.just("table"), pick(("t1", "T2")), st.sets(pick(tuple(ROUTES)), max_size=3)),
    st.tuples(st.just("interface"), pick(INTERFACES), pick(tuple(NETWORKS)), st.integers(0, 3), st.integers(1, 2)),
    st.tuples(st.just("drop"), pick(INTERFACES)),
    st.tuples(st.just("options"), pick(tuple(NETWORKS)), pick(((), ("10.9.9.9",))), pick((600, 1800, 86_400))),
    st.tuples(st.just("told"), pick(INTERFACES), pick(((), ("10.8.8.8",))), pick((None, "web-1")), st.booleans()),
    st.tuples(st.just("machine"), pick(MACHINES), pick((*HOSTS, "")), st.sets(pick(INTERFACES), max_size=3)),
    st.tuples(st.just("power"), pick(MACHINES), pick(POWERS)),
    st.tuples(st.just("move"), pick(MACHINES), pick(HOSTS), pick(PHASES)),
    st.tuples(st.just("creation"), pick(MACHINES), pick(("defining", "undoing", "removing", ""))),
    st.tuples(st.just("errand"), pick(MACHINES), pick(ERRANDS), pick(("asked", "failed", ""))),
    st.tuples(st.just("delete"), pick(MACHINES)),
    st.tuples(st.just("raze"), pick(tuple(NETWORKS))),
    st.tuples(st.just("list"), pick(tuple(LISTS)), st.integers(0, 2)),
    st.tuples(st.just("unlist"), pick(tuple(LISTS))),
    st.tuples(st.just("filter_subnet"), pick(tuple(NETWORKS)), pick(("web", "Six", "db")), pick((*LISTS, ""))),
    st.tuples(st.just("guests"), pick(tuple(NETWORKS)), pick(("web", "Six", "db")), pick((0, 60, 900))),
    st.tuples(st.just("bring"), pick(INTERFACES), pick(("10.1.1.200", "10.1.1.201", "fd00:1::200"))),
    st.tuples(st.just("bring"), pick(INTERFACES), pick(("10.1.1.200", "fd00:1::200"))),
    st.tuples(st.just("forget"), pick(INTERFACES), pick(("10.1.1.200", "fd00:1::200"))),
    st.tuples(st.just("filter_interface"), pick(INTERFACES), pick((*LISTS, ""))),
    st.tuples(st.just("space"), pick(tuple(NETWORKS)), pick(("10.1.0.0/16", "10.0.0.0/8", "0.0.0.0/0"))),
    st.tuples(st.just("gateway"), pick(("g1", "g2")), pick(("h1", "h2", ""))),
    st.tuples(st.just("way_out"), pick(tuple(NETWORKS)), pick(WAYS_OUT), st.booleans()),
    st.tuples(st.just("leads"), pick(tuple(NETWORKS)), st.integers(0, len(CONNECTIONS) - 1), st.booleans()),
    st.tuples(st.just("side"), pick(tuple(SIDES)), st.integers(0, 1), pick((0, 77))),
    st.tuples(st.just("pool"), st.booleans()),
    st.tuples(st.just("outside"), pick(("203.0.113.0/24", "198.51.100.0/24"))),
    st.tuples(st.just("public"), pick(("203.0.113.20", "203.0.113.21"))),
    st.tuples(st.just("known"), pick(INTERFACES), st.booleans()),
)
histories = st.lists(st.tuples(st.booleans(), step), max_size=40)
