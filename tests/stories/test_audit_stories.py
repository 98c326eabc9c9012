"""Stories of sources 000 to 002 as an audit shows them to somebody whose machines Weft does not run: what clashes, what
will, and by which steps. Told through POST /weft/v1/audits, and the command line where a file is what one has.
"""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from tests.stories.desk import Desk
from tests.unit.core.audit.world import checkpoint, host, machine, nic
from weft.cli.commands import app

N1 = host("n1", "00-15-5D-01-05-00", "00-15-5D-01-05-FF", cluster="c")
N2 = host("n2", "00-15-5D-01-06-00", "00-15-5D-01-06-FF", cluster="c")
OF_N1, OF_N2 = "00-15-5D-01-05-07", "00-15-5D-01-06-07"


async def audited(desk: Desk, hosts: list[Any], machines: list[Any]) -> Any:
    """The report, after seeing that the audit changed nothing."""
    before = (await desk.get("/readyz"))["revision"]
    report = await desk.post("/weft/v1/audits", {"hosts": hosts, "machines": machines})
    assert (await desk.get("/readyz"))["revision"] == before
    return report


def finding(report: Any, code: str) -> Any:
    (found,) = [each for each in report["findings"] if each["code"] == code]
    return found


async def test_story_0_10_static_inside_a_dynamic_range(desk: Desk) -> None:
    """M is taken from node1's range, made static, and its machine moves to node2: node1 will give M away again."""
    moved = machine("web", "n2", nic(OF_N1, "static"), clustered=True)
    one = finding(await audited(desk, [N1, N2], [moved]), "staticInRange")
    assert (one["severity"], one["address"], one["machines"]) == ("warning", OF_N1, ["web"])
    assert "n1 does not see it" in one["steps"][0]
    assert "n1 starts a machine with a dynamic address and draws" in one["steps"][1]


async def test_story_0_13_a_plan_meets_a_default_range(desk: Desk) -> None:
    """Cluster 03 uses 00-15-5D-03-hv-vv; a node that was left on its default has an address ending .3.5."""
    planned = host("planned", "00-15-5D-03-00-00", "00-15-5D-03-0F-FF")
    left = host("left", "00-15-5D-03-05-00", "00-15-5D-03-05-FF", addresses=["10.1.3.5"])
    one = finding(await audited(desk, [planned, left], []), "rangesOverlap")
    assert (one["severity"], set(one["hosts"])) == ("critical", {"planned", "left"})
    assert one["commands"][0].startswith("Set-VMHost -ComputerName 'left' -MacAddressMinimum 00155D")


async def test_story_0_c2_defaults_are_not_unique(desk: Desk) -> None:
    """10.1.3.5 and 10.2.3.5 make equal ranges; so does a host that got the address which another had first."""
    hosts = [host("a", addresses=["10.1.3.5"]), host("b", addresses=["10.2.3.5"])]
    one = finding(await audited(desk, hosts, []), "sameAddressTail")
    assert (one["hosts"], one["address"]) == (["a", "b"], "00-15-5D-03-05-00 to 00-15-5D-03-05-FF")
    former = host("c", "00-15-5D-03-05-00", "00-15-5D-03-05-FF", addresses=["10.9.9.9"])
    report = await audited(desk, [hosts[0], former], [])
    assert finding(report, "rangeOfAnotherAddress")["hosts"] == ["c"]
    assert finding(report, "sameAddressTail")["hosts"] == ["a", "c"]


async def test_story_0_c3_the_same_range_on_all_nodes(desk: Desk) -> None:
    """An administrator sets one range everywhere: each node checks its own machines only."""
    everywhere = [host(name, "00-15-5D-AA-00-00", "00-15-5D-AA-0F-FF") for name in ("a", "b", "c")]
    one = finding(await audited(desk, everywhere, []), "rangesEqual")
    assert (one["severity"], one["hosts"], len(one["commands"])) == ("critical", ["a", "b", "c"], 2)
    assert "by hand" in one["remedy"]


async def test_story_0_c4_mac_mimics_ip(desk: Desk) -> None:
    """Two encodings clash, octets above 99 do not fit, two tenants get one MAC, and the block is somebody else's."""
    mimics = [
        machine("decimal", "n1", nic("00-00-10-01-00-15", "static", ipAddresses=["10.1.0.15"])),
        machine("hex", "n1", nic("00-00-AC-10-00-FD", "static", ipAddresses=["172.16.0.253"])),
        machine("other", "n1", nic("00-00-16-01-00-21", "static", ipAddresses=["16.1.0.21"])),
        machine("tenant", "n1", nic("00-00-10-01-00-15", "static", network="red", ipAddresses=["10.1.0.15"])),
        machine("big", "n1", nic("00-00-10-01-00-99", "static", ipAddresses=["10.1.0.199"])),
    ]
    report = await audited(desk, [host("n1")], mimics)
    scheme = finding(report, "addressFromIp")
    assert "decimal and hexadecimal" in scheme["summary"]
    assert scheme["steps"][0] == "00-00-10-01-00-15 is 10.1.0.15 read as decimal, and 16.1.0.21 read as hexadecimal."
    assert "big (10.1.0.199)" in scheme["remedy"]
    clashes = [each["machines"] for each in report["findings"] if each["code"] == "addressFromIpClash"]
    assert ["decimal", "other"] in clashes
    assert finding(report, "addressFromIpTenants")["machines"] == ["decimal", "tenant"]
    assert {each["address"] for each in report["findings"] if each["code"] == "foreignVendor"} >= {
        "00-00-10",
        "00-00-AC",
    }


async def test_story_1_2_a_cloned_host_image(desk: Desk) -> None:
    hosts = [host(name, "00-15-5D-01-05-00", "00-15-5D-01-05-FF") for name in ("first", "clone")]
    one = finding(await audited(desk, hosts, []), "rangesEqual")
    assert one["hosts"] == ["first", "clone"]
    assert one["commands"] == [
        "Set-VMHost -ComputerName 'clone' -MacAddressMinimum 00155DF00000 -MacAddressMaximum 00155DF00FFF"
    ]


async def test_story_1_3_sysprep_does_not_reset_the_range(desk: Desk) -> None:
    """As 1.2, and the remedy says why; alone, an image is known by a range that its own address did not make."""
    hosts = [host(name, "00-15-5D-01-05-00", "00-15-5D-01-05-FF", addresses=[ip]) for name, ip in _IMAGES]
    report = await audited(desk, hosts, [])
    assert "sysprep" in finding(report, "rangesEqual")["remedy"]
    elsewhere = [each["hosts"] for each in report["findings"] if each["code"] == "rangeOfAnotherAddress"]
    assert elsewhere == [["clone"]]


_IMAGES = (("first", "10.1.1.5"), ("clone", "10.1.1.77"))


async def test_story_1_5_zeros_until_the_first_boot_are_no_duplicates(desk: Desk) -> None:
    waiting = [machine(f"new{at}", "n1", nic("00-00-00-00-00-00"), power="off") for at in range(3)]
    report = await audited(desk, [N1], waiting)
    assert report["findings"] == []
    assert report["summary"]["withoutAddress"] == 3


async def test_story_1_6c_a_clone_before_its_first_start_has_the_source_s_address_or_zeros(desk: Desk) -> None:
    """Both tellings are accepted: neither is a duplicate, since the host draws anew at the first start."""
    source = machine("source", "n1", nic(OF_N1))
    for shown in (OF_N1, "00-00-00-00-00-00"):
        report = await audited(desk, [N1], [source, machine("clone", "n1", nic(shown), power="off")])
        assert [each["severity"] for each in report["findings"]] in ([], ["notice"])


async def test_story_1_8_a_full_range_is_told_before_and_when_it_is_full(desk: Desk) -> None:
    def used(count: int) -> list[Any]:
        return [machine(f"m{at}", "n1", nic(f"00-15-5D-01-05-{at:02X}"), power="off") for at in range(count)]

    assert finding(await audited(desk, [N1], used(205)), "rangeNearlyFull")["severity"] == "warning"
    full = finding(await audited(desk, [N1], used(256)), "rangeFull")
    assert full["severity"] == "critical"
    assert "Attempt to access invalid address" in full["steps"][0]
    # 1.9: what the host does instead, by name
    assert "m0" in full["steps"][1]
    assert "m0" in full["machines"]


async def test_story_2_4_rollback_duplicate(desk: Desk) -> None:
    """A pooled desktop was made on n1, moved, was restarted there; n1 may give its first address away, or has."""
    saved = [checkpoint("RDV_ROLLBACK - 1", nic(OF_N1, name="Network Adapter"))]
    desktop = machine("desk1", "n2", nic(OF_N2, name="Network Adapter"), checkpoints=saved, clustered=True)
    coming = finding(await audited(desk, [N1, N2], [desktop]), "redrawnBeforeRollback")
    assert (coming["severity"], coming["address"], coming["hosts"]) == ("warning", OF_N1, ["n2", "n1"])
    there = finding(await audited(desk, [N1, N2], [desktop, machine("b", "n1", nic(OF_N1))]), "duplicateAtRollback")
    assert (there["severity"], there["machines"], there["address"]) == ("critical", ["desk1", "b"], OF_N1)
    assert len(there["steps"]) == 3
    assert "Get-VMSnapshot -Name 'RDV_ROLLBACK - 1'" in there["commands"][0]
    assert f"-StaticMacAddress '{OF_N2}'" in there["commands"][0]


async def test_story_2_1_a_new_address_after_a_move_and_a_restart(desk: Desk) -> None:
    """And 2.3: the host that it came from is free to give the old one away at once."""
    one = finding(await audited(desk, [N1, N2], [machine("web", "n2", nic(OF_N1), clustered=True)]), "redrawnAtStart")
    assert "n2 draws another address" in one["steps"][1]
    assert one["steps"][2].startswith(f"n1 may give {OF_N1} to a new machine")


async def test_story_2_c1_what_is_free(desk: Desk) -> None:
    machines = [machine(f"m{at}", "n1", nic(f"00-15-5D-01-05-{at:02X}")) for at in (0, 1, 5)]
    (use,) = (await audited(desk, [N1], machines))["ranges"][:1]
    assert (use["owner"], use["capacity"], use["used"], use["free"]) == ("n1", 256, 3, 253)
    assert use["freeRanges"] == [
        ["00-15-5D-01-05-02", "00-15-5D-01-05-04"],
        ["00-15-5D-01-05-06", "00-15-5D-01-05-FF"],
    ]


def test_an_audit_needs_no_controller_only_a_file(tmp_path: Path) -> None:
    file = tmp_path / "hyperv.json"
    adapter = {"Name": "Network Adapter", "MacAddress": OF_N1.replace("-", ""), "SwitchName": "LAN"}
    vms = [{"Name": name, "VMId": name, "State": 2, "ComputerName": "n1"} for name in ("a", "b")]
    adapters = [{**adapter, "VMName": name, "VMId": name, "ComputerName": "n1", "Id": name} for name in ("a", "b")]
    file.write_bytes(json.dumps({"vms": vms, "adapters": adapters}).encode("utf-16"))
    done = CliRunner().invoke(app, ["audit", str(file)])
    assert done.exit_code == 1
    assert "a on n1 and b on n1 run with 00-15-5D-01-05-07" in done.output.replace("\n  ", " ")
