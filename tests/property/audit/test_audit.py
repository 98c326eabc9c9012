"""Any inventory can be audited, and the duplicates found are those that comparing every pair finds."""

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.cli.audit_page import page
from weft.cli.audit_table import lines
from weft.core.audit.findings import SEVERITIES, Report
from weft.core.audit.report import audit
from weft.core.audit.survey import Nic, survey
from weft.model.inventory import Inventory
from weft.model.values import GROUP_BIT, mac_colons, mac_dashes, mac_digits

# few values, so that they meet
MACS = [0, 1, 0x00155D010500, 0x00155D010501, 0x00155D0105FF, 0x020000000001, 0x01005E000001, 0x000010010015]
ADDRESSES = ["10.1.0.15", "16.1.0.21", "10.1.0.200", "10.1.3.5", "fe80::1", "2001:db8::1"]
NAMES = st.sampled_from(["a", "b", "Web 1", "it's", "<b>", "日本"])
HOSTS = st.sampled_from(["n1", "N2", "n3", ""])
WORDS = st.sampled_from(["", "LAN", "lan", "WAN"])


@st.composite
def mac_texts(draw: st.DrawFn) -> str:
    mac = draw(st.sampled_from(MACS))
    return draw(st.sampled_from([mac_dashes, mac_colons, mac_digits, lambda mac: ""]))(mac)


def adapters() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"mac": mac_texts(), "mode": st.sampled_from(["static", "dynamic"]), "switch": WORDS},
        optional={
            "name": NAMES,
            "network": WORDS,
            "vlan": st.sampled_from([None, 0, 7]),
            "ipAddresses": st.lists(st.sampled_from(ADDRESSES), max_size=2),
        },
    )


def machines() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "name": NAMES,
            "host": HOSTS,
            "power": st.sampled_from(["running", "off", "saved"]),
            "interfaces": st.lists(adapters(), max_size=2),
        },
        optional={
            "id": st.sampled_from(["", "1", "2"]),
            "clustered": st.booleans(),
            "possibleHosts": st.lists(HOSTS, max_size=2),
            "isTemplate": st.booleans(),
            "isReplica": st.booleans(),
            "checkpoints": st.lists(
                st.fixed_dictionaries({"name": NAMES, "interfaces": st.lists(adapters(), max_size=2)}), max_size=2
            ),
        },
    )


@st.composite
def ranges(draw: st.DrawFn) -> dict[str, str]:
    first, last = sorted(draw(st.tuples(st.sampled_from(MACS), st.sampled_from(MACS))))
    return {"first": mac_dashes(first), "last": mac_dashes(last)}


@st.composite
def inventories(draw: st.DrawFn) -> Inventory:
    hosts = [
        {
            "name": name,
            "type": draw(st.sampled_from(["hyperv", "libvirt", "vmware", ""])),
            "cluster": draw(st.sampled_from(["", "c"])),
            "dynamicMacRange": draw(st.none() | ranges()),
            "addresses": draw(st.lists(st.sampled_from(ADDRESSES), max_size=2)),
            "switches": draw(
                st.lists(st.fixed_dictionaries({"name": WORDS, "segment": st.sampled_from(["", "x", "y"])}), max_size=2)
            ),
        }
        for name in draw(st.sets(st.sampled_from(["n1", "n2", "n3"])))
    ]
    pools = [{"name": name, **draw(ranges())} for name in draw(st.lists(NAMES, max_size=2))]
    made = draw(st.lists(machines(), max_size=8))
    return msgspec.convert({"hosts": sorted(hosts, key=str), "machines": made, "macPools": pools}, Inventory)


@given(inventories())
@settings(deadline=None)
def test_any_inventory_can_be_audited_and_shown(inventory: Inventory) -> None:
    report = audit(inventory)
    assert sum((report.summary.critical, report.summary.warning, report.summary.notice)) == len(report.findings)
    for finding in report.findings:
        assert finding.severity in SEVERITIES
        assert finding.summary
        assert finding.remedy
    for use in report.ranges:
        assert use.used + use.free == use.capacity
        assert use.away + use.captured + use.duplicates <= use.used
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report
    list(lines(report, everything=True))
    page(report)


@st.composite
def crowds(draw: st.DrawFn) -> Inventory:
    """Machines that nearly all have the same address, so that what matters is who runs where."""
    adapter = st.fixed_dictionaries(
        {"mac": st.sampled_from(["020000000001", "02-00-00-00-00-01", "02-00-00-00-00-02"]), "switch": WORDS},
        optional={"vlan": st.sampled_from([0, 7])},
    )
    machine = st.fixed_dictionaries(
        {
            "name": NAMES,
            "host": st.sampled_from(["n1", "n2"]),
            "power": st.sampled_from(["running", "running", "running", "off"]),
            "interfaces": st.lists(adapter, min_size=1, max_size=2),
        },
        optional={"id": st.sampled_from(["1", "2"]), "isReplica": st.booleans()},
    )
    made = draw(st.lists(machine, min_size=2, max_size=5))
    return msgspec.convert({"hosts": [{"name": "n1", "type": "hyperv"}], "machines": made}, Inventory)


@given(crowds())
@settings(deadline=None)
def test_the_duplicates_are_those_that_every_pair_shows(inventory: Inventory) -> None:
    found = {finding.address for finding in audit(inventory).findings if finding.code == "duplicateMac"}
    nics = survey(inventory).nics
    clashing = {mac_dashes(one.mac) for at, one in enumerate(nics) for other in nics[at + 1 :] if _clash(one, other)}
    assert found == clashing


def _clash(one: Nic, other: Nic) -> bool:
    """Both run with one address where they meet, and they are not the two ends of one machine's migration."""
    ends = one.guest.identity == other.guest.identity and one.guest.site is not other.guest.site
    running = one.guest.running and other.guest.running
    real = one.mac == other.mac and one.mac != 0 and not one.mac & GROUP_BIT
    return running and real and not ends and one.meets(other)


@given(inventories())
@settings(deadline=None)
def test_an_audit_does_not_depend_on_the_order_of_machines(inventory: Inventory) -> None:
    """Machines of one id are told apart by their place, so only those without are shuffled."""
    plain = msgspec.structs.replace(
        inventory, machines=tuple(msgspec.structs.replace(each, id="") for each in inventory.machines)
    )
    turned = msgspec.structs.replace(plain, machines=plain.machines[::-1])

    def told(report: Report) -> list[tuple[str, str, list[str]]]:
        return sorted(
            (one.code, one.address, sorted(one.machines))
            for one in report.findings
            if one.code in ("duplicateMac", "rangesEqual", "rangesOverlap", "duplicateIp", "groupAddress")
        )

    assert told(audit(plain)) == told(audit(turned))
