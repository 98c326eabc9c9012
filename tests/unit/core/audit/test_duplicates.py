"""Equal addresses: now, at the next start, after a move; and equal addresses that are legal."""

import pytest

from tests.unit.core.audit.world import codes, host, machine, nic, only, report

M = "02-00-00-00-00-01"
KVM = {"name": "kvm1", "type": "libvirt"}


def test_two_running_machines_of_one_network_are_critical_and_named() -> None:
    found = report([host("n1"), host("n2")], [machine("a", "n1", nic(M)), machine("b", "n2", nic(M))])
    one = only(found, "duplicateMac")
    assert (one.severity, one.machines, one.hosts, one.address) == ("critical", ("a", "b"), ("n1", "n2"), M)
    assert "switch lan" in one.summary
    assert found.summary.critical == 1


def test_the_remedy_changes_all_but_the_first_and_stops_what_runs() -> None:
    found = report([host("n1")], [machine("a", "n1", nic(M)), machine("it's b", "n1", nic(M))])
    stop, change, start = only(found, "duplicateMac").commands
    assert stop == "Stop-VM -ComputerName 'n1' -Name 'it''s b'"
    assert change == (
        "Get-VM -ComputerName 'n1' -Name 'it''s b' | Get-VMNetworkAdapter | Where-Object MacAddress -eq '020000000001' "
        "| Set-VMNetworkAdapter -StaticMacAddress '02-57-00-00-00-00'"
    )
    assert start == "Start-VM -ComputerName 'n1' -Name 'it''s b'"


def test_a_name_is_no_pattern_for_powershell() -> None:
    found = report([host("n1")], [machine("a", "n1", nic(M)), machine("*[1]`?", "n1", nic(M))])
    assert only(found, "duplicateMac").commands[0] == "Stop-VM -ComputerName 'n1' -Name '`*`[1`]```?'"


def test_of_two_adapters_of_one_machine_one_is_changed() -> None:
    found = report([host("n1")], [machine("a", "n1", nic(M), nic(M))])
    assert " | Select-Object -First 1 | Set-VMNetworkAdapter " in only(found, "duplicateMac").commands[1]
    found = report([KVM], [machine("a", "kvm1", nic(M, "static"), nic(M, "static"))])
    assert only(found, "duplicateMac").commands == ("virsh -c qemu+ssh://kvm1/system edit a",)


def test_commands_of_libvirt_are_for_virsh_with_names_quoted() -> None:
    twins = [machine("a", "kvm1", nic(M, "static")), machine("b c", "kvm1", nic(M, "static"))]
    virsh = "virsh -c qemu+ssh://kvm1/system"
    assert only(report([KVM], twins), "duplicateMac").commands == (
        f"{virsh} dumpxml --inactive --security-info 'b c' | sed s/02:00:00:00:00:01/02:57:00:00:00:00/ "
        f"| {virsh} define /dev/stdin",
        f"{virsh} shutdown 'b c'",
        f"until {virsh} domstate 'b c' | grep -q 'shut off'; do sleep 1; done",
        f"{virsh} start 'b c'",
    )


def test_an_off_machine_of_libvirt_is_not_shut_down() -> None:
    found = report([KVM], [machine("a", "kvm1", nic(M, "static")), machine("b", "kvm1", nic(M, "static"), power="off")])
    (define,) = only(found, "duplicateAtStart").commands
    assert define.endswith(" define /dev/stdin")


def test_hosts_of_unknown_kind_are_told_to_use_weft() -> None:
    found = report([], [machine("a", "", nic(M, "static")), machine("b", "", nic(M, "static"))])
    assert only(found, "duplicateMac").commands == (
        "weft import INVENTORY",
        "weft vm renew-mac b --mac 02-57-00-00-00-00",
    )


def test_notation_does_not_matter() -> None:
    """Behaviour S40."""
    nics = [nic("02:ab:cd:00:00:01"), nic("02ABCD000001"), nic("02ab.cd00.0001")]
    found = report([host("n1")], [machine(name, "n1", each) for name, each in zip("abc", nics, strict=True)])
    assert only(found, "duplicateMac").machines == ("a", "b", "c")


def test_empty_and_zero_addresses_are_never_duplicates() -> None:
    """Behaviour S39."""
    nics = [nic(""), nic(""), nic("00-00-00-00-00-00"), nic("000000000000")]
    found = report([host("n1")], [machine(f"m{at}", "n1", each, power="off") for at, each in enumerate(nics)])
    assert found.findings == ()
    assert found.summary.without_address == 4


def test_other_vlans_segments_and_networks_do_not_meet() -> None:
    hosts = [host("n1", switches=[{"name": "LAN", "segment": "red"}]), host("n2"), host("n3")]
    apart = [
        machine("a", "n1", nic(M)),
        machine("b", "n2", nic(M)),
        machine("c", "n2", nic(M, vlan=7)),
        machine("d", "n2", nic(M, network="blue")),
    ]
    assert codes(report(hosts, apart)) == []
    together = [machine("a", "n2", nic(M, vlan=0)), machine("b", "n3", nic(M))]
    assert codes(report(hosts, together)) == ["duplicateMac"]


def test_a_machine_in_an_unknown_network_may_meet_any_other() -> None:
    lost = machine("lost", "n1", nic(M, switch=""))
    found = report([host("n1")], [lost, machine("a", "n1", nic(M)), machine("b", "n1", nic(M, vlan=3))])
    assert [one.machines for one in found.findings] == [("a", "lost"), ("b", "lost")]
    found = report([host("n1")], [lost, machine("lost2", "n1", nic(M, switch=""))])
    assert "may be one" in only(found, "duplicateMac").summary


def test_two_interfaces_of_one_machine_clash_too() -> None:
    found = report([host("n1")], [machine("a", "n1", nic(M), nic(M))])
    assert only(found, "duplicateMac").machines == ("a",)


def test_a_group_address_is_told_once_and_not_as_a_duplicate() -> None:
    found = report([host("n1")], [machine(name, "n1", nic("01-00-5E-00-00-01")) for name in "ab"])
    assert codes(found) == ["groupAddress", "groupAddress"]


@pytest.mark.parametrize("power", ["off", "saved"])
def test_starting_a_static_copy_beside_its_source_is_told_with_its_steps(power: str) -> None:
    found = report(
        [host("n1")], [machine("a", "n1", nic(M, "static")), machine("b", "n1", nic(M, "static"), power=power)]
    )
    one = only(found, "duplicateAtStart")
    assert (one.severity, one.machines) == ("warning", ("a", "b"))
    assert one.steps[1].startswith("b on n1 is started")


def test_a_dynamic_copy_on_the_same_host_is_legal_since_the_host_draws_anew() -> None:
    here = [machine("a", "n1", nic(M)), machine("b", "n1", nic(M), power="off")]
    assert codes(report([host("n1")], here)) == ["twins"]
    there = [machine("a", "n1", nic(M)), machine("b", "n2", nic(M), power="off")]
    assert codes(report([host("n1"), host("n2")], there)) == ["duplicateAtStart"]


def test_off_twins_and_replicas_are_legal_but_named() -> None:
    """As in harvester#4893: a copy that is off takes nothing away."""
    off = report([host("n1")], [machine(name, "n1", nic(M, "static"), power="off") for name in "ab"])
    assert only(off, "twins").severity == "notice"
    assert "all are off" in only(off, "twins").summary
    replica = machine("a", "n2", nic(M, "static"), power="off", isReplica=True, id="7")
    found = report([host("n1"), host("n2")], [machine("a", "n1", nic(M, "static"), id="7"), replica])
    assert "only a on n1 runs, and a replica" in only(found, "twins").summary


def test_the_two_ends_of_a_migration_are_one_machine_and_a_third_is_not() -> None:
    ends = [machine("a", "n1", nic(M, "static"), id="7"), machine("a", "n2", nic(M, "static"), id="7")]
    hosts = [host("n1"), host("n2")]
    assert codes(report(hosts, ends)) == ["migrationTwin"]
    found = report(hosts, [*ends, machine("b", "n2", nic(M, "static"))])
    assert codes(found) == ["duplicateMac", "migrationTwin"]
    assert only(found, "migrationTwin").machines == ("a",)
    assert only(found, "duplicateMac").machines == ("a", "b")


def test_two_adapters_at_one_end_of_a_migration_are_two() -> None:
    ends = [machine("a", "n1", nic(M, "static"), id="7")]
    ends.append(machine("a", "n2", nic(M, "static"), nic(M, "static"), id="7"))
    assert codes(report([host("n1"), host("n2")], ends)) == ["duplicateMac", "migrationTwin"]
    assert codes(report([host("n1"), host("n2")], ends[::-1])) == ["duplicateMac", "migrationTwin"]


LEFT = host("n1", cluster="c", switches=[{"name": "LAN", "segment": "left"}])
RIGHT = host("n2", cluster="c", switches=[{"name": "LAN", "segment": "right"}])


def test_equal_addresses_that_a_migration_brings_together() -> None:
    machines = [machine("a", "n1", nic(M, "static"), clustered=True), machine("b", "n2", nic(M, "static"))]
    one = only(report([LEFT, RIGHT], machines), "duplicateAtMigration")
    assert (one.severity, one.machines) == ("warning", ("a", "b"))
    assert one.steps[1] == "a moves to n2, where LAN is switch right."


def test_possible_hosts_are_those_named_if_any_are() -> None:
    def moving(*names: str) -> list[str]:
        a = machine("a", "n1", nic(M, "static"), clustered=True, possibleHosts=list(names))
        return codes(report([LEFT, RIGHT, host("n3")], [a, machine("b", "n2", nic(M, "static"))]))

    assert moving("N2") == ["duplicateAtMigration"]
    assert moving("n1", "n3") == []


def test_what_cannot_move_or_has_a_network_of_its_own_stays_apart() -> None:
    stays = [machine("a", "n1", nic(M, "static")), machine("b", "n2", nic(M, "static"))]
    assert codes(report([LEFT, RIGHT], stays)) == []
    own = [machine(name, "n1", nic(M, "static", network=name), clustered=True) for name in "ab"]
    assert codes(report([LEFT, RIGHT], own)) == []
    third = host("n3", cluster="c", switches=[{"name": "LAN", "segment": "third"}])
    one_apart = [machine("a", "n1", nic(M, "static"), clustered=True), machine("b", "n1", nic(M, "static", vlan=2))]
    assert codes(report([LEFT, third], one_apart)) == []


def test_two_interfaces_of_one_machine_do_not_meet_themselves_after_a_move() -> None:
    a = machine("a", "n1", nic(M, "static"), nic(M, "static", network="right"), clustered=True)
    assert codes(report([LEFT, RIGHT], [a])) == []
    hosts = [host("n1", cluster="c", switches=[{"name": "S", "segment": "left"}, {"name": "T", "segment": "right"}])]
    hosts.append(host("n2", cluster="c", switches=[{"name": "S", "segment": "right"}]))
    both = machine("a", "n1", nic(M, "static", switch="S"), nic(M, "static", switch="T"), clustered=True)
    assert codes(report(hosts, [both])) == []


def test_one_ip_address_twice_in_a_network() -> None:
    def twice(first: str = "running", second: str = "running", **members: str) -> str:
        nics = [nic(f"02-00-00-00-00-0{at}", "static", ipAddresses=["10.1.1.5"], **members) for at in (1, 2)]
        one = only(
            report([host("n1")], [machine("a", "n1", nics[0], power=first), machine("b", "n1", nics[1], power=second)]),
            "duplicateIp",
        )
        assert (one.address, set(one.machines)) == ("10.1.1.5", {"a", "b"})
        return one.severity

    assert twice() == "critical"
    assert twice(second="off") == "warning"
    assert twice("off", "off") == "notice"
    assert twice(switch="") == "warning"


def test_one_ip_address_in_two_networks_and_local_ones_are_fine() -> None:
    local = ["fe80::1%4", "169.254.1.1", "127.0.0.1", "::1", "0.0.0.0/8"]
    nics = [
        nic("02-00-00-00-00-01", "static", network=name, ipAddresses=["10.1.1.5/24", "2001:db8::1"]) for name in "ab"
    ]
    machines = [machine("a", "n1", nics[0]), machine("b", "n1", {**nics[1], "mac": "02-00-00-00-00-02"})]
    nics = [nic(f"02-00-00-00-01-0{at}", "static", ipAddresses=local) for at in (1, 2)]
    machines += [machine("c", "n1", nics[0]), machine("d", "n1", nics[1])]
    assert codes(report([host("n1")], machines)) == []
