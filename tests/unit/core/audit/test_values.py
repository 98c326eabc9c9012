"""Addresses that are wrong in themselves, templates, and schemes that make them of IP addresses."""

from typing import Any

from tests.unit.core.audit.world import codes, host, machine, nic, only, report

HYPERV = host("n1")


def test_group_and_reserved_addresses() -> None:
    found = report(
        [HYPERV], [machine("a", "n1", nic("25-B6-84-17-8C-63")), machine("b", "n1", nic("00-00-0C-07-AC-01"))]
    )
    assert only(found, "groupAddress").severity == "critical"
    assert "HSRP" in only(found, "reservedAddress").summary


def test_zeros_are_waiting_or_wrong() -> None:
    waiting = machine("new", "n1", nic("00-00-00-00-00-00"), power="off")
    running = machine("odd", "n1", nic("000000000000"))
    static = machine("set", "n1", nic("00:00:00:00:00:00", "static"), power="off")
    found = report([HYPERV], [waiting, running, static])
    one = only(found, "zeroAddress")
    assert one.machines == ("odd", "set")
    assert found.summary.without_address == 1


def test_foreign_vendors_are_told_by_block_and_kind_of_host() -> None:
    hosts = [HYPERV, {"name": "kvm1", "type": "libvirt"}, {"name": "x"}]
    machines = [
        machine("a", "n1", nic("00-50-56-40-00-01")),
        machine("b", "n1", nic("00-50-56-40-00-02")),
        machine("own", "n1", nic("00-1D-D8-B7-1C-01")),
        machine("local", "n1", nic("02-00-00-00-00-01")),
        machine("group", "n1", nic("01-00-0C-00-00-01")),
        machine("bought", "kvm1", nic("40-1D-D8-00-00-01")),
        machine("kvm", "kvm1", nic("52-54-00-00-00-01")),
        machine("anybody", "x", nic("00-0C-29-00-00-01")),
    ]
    found = [one for one in report(hosts, machines).findings if one.code == "foreignVendor"]
    assert [(one.address, one.machines) for one in found] == [("00-50-56", ("a", "b")), ("40-1D-D8", ("bought",))]
    assert "VMware" in found[0].summary
    assert "whoever bought" in found[1].summary


def test_a_template_with_a_static_address_gives_it_to_every_copy() -> None:
    template = machine("t", "n1", nic("02-00-00-00-00-01", "static"), power="off", isTemplate=True)
    one = only(report([HYPERV], [template]), "templateHoldsAddress")
    assert one.machines == ("t",)
    fine = [machine("t", "n1", nic("02-00-00-00-00-01"), power="off", isTemplate=True)]
    assert codes(report([HYPERV], fine)) == []


def mimic(name: str, mac: str, *ips: str, **members: Any) -> dict[str, Any]:
    return machine(name, "n1", nic(mac, "static", ipAddresses=list(ips)), **members)


def findings(*machines: dict[str, Any]) -> list[Any]:
    return [one for one in report([HYPERV], list(machines)).findings if one.code.startswith("addressFromIp")]


def test_both_schemes_are_understood() -> None:
    decimal, hexadecimal = mimic("d", "00-00-10-01-00-15", "10.1.0.15"), mimic("h", "00-00-AC-10-00-FD", "172.16.0.253")
    (one,) = findings(decimal, hexadecimal)
    assert (one.code, one.severity, one.address, one.machines) == ("addressFromIp", "warning", "00-00", ("d", "h"))
    assert one.steps == ("00-00-10-01-00-15 is 10.1.0.15 read as decimal, and 16.1.0.21 read as hexadecimal.",)
    (one,) = findings(hexadecimal)
    assert (one.severity, one.steps) == ("notice", ())
    assert "do not fit" not in one.remedy


def test_an_address_that_reads_alike_in_both_is_no_example() -> None:
    (one,) = findings(mimic("d", "00-00-01-02-03-04", "1.2.3.4"))
    assert one.steps == ()


def test_the_machine_that_the_other_reading_means_is_named() -> None:
    found = findings(mimic("d", "00-00-10-01-00-15", "10.1.0.15"), mimic("h", "02-00-00-00-00-01", "16.1.0.21"))
    clash = next(one for one in found if one.code == "addressFromIpClash")
    assert clash.machines == ("d", "h")
    assert "10.1.0.15 of d on n1 and, read the other way, for 16.1.0.21 of h on n1" in clash.summary


def test_a_machine_does_not_clash_with_itself() -> None:
    two = machine("d", "n1", nic("00-00-10-01-00-15", ipAddresses=["10.1.0.15"]), nic("", ipAddresses=["16.1.0.21"]))
    assert [one.code for one in findings(two)] == ["addressFromIp"]


def test_octets_above_99_and_moved_machines_fall_out_of_the_scheme() -> None:
    found = findings(
        mimic("d", "00-00-10-01-00-15", "10.1.0.15"),
        mimic("big", "00-00-00-00-01-01", "10.1.0.200", "fe80::1"),
        mimic("v6", "00-00-00-00-01-02", "2001:db8::1"),
        mimic("group", "01-00-5E-00-01-02", "10.1.0.7"),
    )
    scheme = next(one for one in found if one.code == "addressFromIp")
    assert "big (10.1.0.200)" in scheme.remedy
    assert [one.machines for one in found if one.code == "addressFromIpStale"] == [("big",)]


def test_one_ip_address_in_two_networks_makes_one_address() -> None:
    nics = [nic("00-00-10-01-00-15", "static", network=name, ipAddresses=["10.1.0.15"]) for name in ("blue", "red")]
    found = findings(machine("b", "n1", nics[0]), machine("r", "n1", nics[1]))
    tenants = next(one for one in found if one.code == "addressFromIpTenants")
    assert tenants.machines == ("b", "r")
    assert "(network blue)" in tenants.summary


def test_without_ip_addresses_an_address_of_zeros_at_the_front_is_read_both_ways() -> None:
    (one,) = findings(mimic("d", "00-00-10-01-00-15"))
    assert (one.severity, len(one.steps)) == ("warning", 1)
    (one,) = findings(mimic("h", "00-00-AC-10-00-FD"))
    assert (one.severity, "172.16.0.253 of h" in one.summary) == ("notice", True)


def test_with_another_prefix_one_interface_is_chance_and_two_are_a_scheme() -> None:
    first, second = mimic("a", "02-77-10-01-00-15", "10.1.0.15"), mimic("b", "02-77-10-01-00-16", "10.1.0.16")
    stale, none = mimic("c", "02-77-10-01-00-17", "10.9.9.9"), mimic("d", "02-77-10-01-00-18", "2001:db8::1")
    assert findings(first) == []
    assert [one.code for one in findings(first, second, stale, none)] == ["addressFromIp", "addressFromIpStale"]
