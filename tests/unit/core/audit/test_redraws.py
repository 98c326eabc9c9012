"""What a host's own draw does to addresses: at a start, to static ones, at a rollback."""

from tests.unit.core.audit.world import checkpoint, codes, host, machine, nic, only, report

N1 = host("n1", "00-15-5D-01-05-00", "00-15-5D-01-05-FF")
N2 = host("n2", "00-15-5D-01-06-00", "00-15-5D-01-06-FF")
HOME, OTHER = "00-15-5D-01-05-07", "00-15-5D-01-06-07"
NOWHERE = "00-15-5D-77-00-01"


def test_a_machine_away_from_home_loses_its_address_and_its_home_may_give_it_away() -> None:
    one = only(report([N1, N2], [machine("web", "n2", nic(HOME))]), "redrawnAtStart")
    assert (one.severity, one.machines, one.hosts, one.address) == ("warning", ("web",), ("n2", "n1"), HOME)
    assert "n2 draws another address" in one.steps[1]
    assert one.steps[2].startswith(f"n1 may give {HOME} to a new machine")
    assert "-StaticMacAddress '02-57-00-00-00-00'" in one.commands[1]


def test_how_soon_a_host_comes_to_an_address_is_told_where_its_cursor_is_known() -> None:
    def third(cursor: str) -> str:
        bounds = {"first": "00-15-5D-01-05-00", "last": "00-15-5D-01-05-FF", "cursor": cursor}
        known = {**N1, "dynamicMacRange": bounds}
        return only(report([known, N2], [machine("web", "n2", nic(HOME))]), "redrawnAtStart").steps[2]

    assert "to a new machine, within its next 4 draws, even" in third("00-15-5D-01-05-03")
    assert "to a new machine, with its next draw, even" in third("00-15-5D-01-05-06")
    assert "within its next 256 draws" in third(HOME)
    assert "to a new machine, even" in third("00-15-5D-99-99-99")


def test_where_nobody_else_draws_it_the_address_is_pinned_as_it_is() -> None:
    one = only(report([N1], [machine("web", "n1", nic(NOWHERE))]), "redrawnAtStart")
    assert len(one.steps) == 2
    assert f"-StaticMacAddress '{NOWHERE}'" in one.commands[1]


def test_of_a_host_without_known_range_only_what_another_draws_is_told() -> None:
    plain = host("n3")
    one = only(report([N1, plain], [machine("web", "n3", nic(HOME))]), "redrawnAtStart")
    assert "does not say" in one.steps[0]
    assert codes(report([N1, plain], [machine("web", "n3", nic(NOWHERE))])) == []


def test_at_home_static_group_and_homeless_addresses_are_not_redrawn() -> None:
    machines = [
        machine("home", "n1", nic(HOME)),
        machine("none", "n1", nic("00-00-00-00-00-00"), power="off"),
        machine("group", "n1", nic("01-00-5E-00-00-01")),
        machine("nowhere", "", nic(OTHER)),
    ]
    assert codes(report([N1, N2], machines)) == ["groupAddress"]


def test_a_static_address_in_the_range_of_another_host() -> None:
    one = only(report([N1, N2], [machine("web", "n2", nic(HOME, "static"))]), "staticInRange")
    assert (one.severity, one.hosts) == ("warning", ("n2", "n1"))
    assert one.steps[0] == "web is on n2, so n1 does not see it."


def test_a_static_address_in_its_own_hosts_range_is_safe_only_while_it_stays() -> None:
    stays = only(report([N1, N2], [machine("web", "n1", nic(HOME, "static"))]), "staticInRange")
    assert stays.severity == "notice"
    moves = only(report([N1, N2], [machine("web", "n1", nic(HOME, "static"), clustered=True)]), "staticInRange")
    assert (moves.severity, moves.steps[0]) == ("warning", "web leaves n1: moved, failed over or restored elsewhere.")
    may = machine("web", "n1", nic(HOME, "static"), possibleHosts=["n2"])
    assert only(report([N1], [may]), "staticInRange").severity == "warning"
    alone = machine("web", "n1", nic(HOME, "static"), clustered=True)
    assert only(report([N1], [alone]), "staticInRange").severity == "notice"


def desktop(now: str, then: str = HOME, power: str = "running", **captured: str) -> dict[str, object]:
    """A pooled desktop that was made on n1 and is on n2 now."""
    saved = checkpoint("RDV_ROLLBACK", nic(then, **captured))
    return machine("desk", "n2", nic(now, name="eth0"), power=power, checkpoints=[saved])


def test_a_rollback_to_an_address_that_another_machine_has() -> None:
    found = report([N1, N2], [desktop(OTHER), machine("new", "n1", nic(HOME))])
    one = only(found, "duplicateAtRollback")
    assert (one.severity, one.machines, one.address) == ("critical", ("desk", "new"), HOME)
    assert "rolled back to RDV_ROLLBACK" in one.steps[2]
    assert one.commands == (
        "Get-VM -ComputerName 'n2' -Name 'desk' | Get-VMSnapshot -Name 'RDV_ROLLBACK' | Get-VMNetworkAdapter | "
        f"Where-Object MacAddress -eq '00155D010507' | Set-VMNetworkAdapter -StaticMacAddress '{OTHER}'",
    )


def test_beside_a_machine_that_is_off_a_rollback_is_a_warning() -> None:
    found = report([N1, N2], [desktop(OTHER), machine("new", "n1", nic(HOME), power="off")])
    assert only(found, "duplicateAtRollback").severity == "warning"


def test_a_rollback_to_an_address_that_its_old_host_may_have_given_away() -> None:
    one = only(report([N1, N2], [desktop(OTHER)]), "redrawnBeforeRollback")
    assert (one.severity, one.hosts) == ("warning", ("n2", "n1"))
    assert one.steps[1].startswith("n1 sees that none of its own machines has")


def test_a_rollback_that_brings_back_what_the_machine_has_or_nobody_draws_is_fine() -> None:
    assert codes(report([N1, N2], [desktop(OTHER, OTHER)])) == []
    assert codes(report([N1, N2], [desktop(OTHER, NOWHERE)])) == []
    assert codes(report([N1, N2], [desktop(OTHER, "00-00-00-00-00-00")])) == []


def test_a_machine_of_another_network_is_no_holder() -> None:
    found = report([N2], [desktop(OTHER, NOWHERE), machine("new", "n1", nic(NOWHERE, vlan=5))])
    assert codes(found) == []


def test_the_checkpoint_is_given_the_address_of_the_interface_it_means() -> None:
    def command(*nics: dict[str, object], captured: str = "") -> str:
        saved = checkpoint("c", nic(HOME, name=captured))
        found = report([N1, N2], [machine("desk", "n2", *nics, checkpoints=[saved])])
        return only(found, "redrawnBeforeRollback").commands[0].rpartition(" | ")[2]

    two = [nic(OTHER, name="a"), nic("00-15-5D-01-06-08", name="b")]
    assert command(*two, captured="b") == "Set-VMNetworkAdapter -StaticMacAddress '00-15-5D-01-06-08'"
    assert command(*two, captured="c") == "Set-VMNetworkAdapter -DynamicMacAddress"
    assert command(*two) == "Set-VMNetworkAdapter -DynamicMacAddress"
    assert command(two[0]) == f"Set-VMNetworkAdapter -StaticMacAddress '{OTHER}'"


def test_checkpoints_of_other_hypervisors() -> None:
    kvm = {"name": "kvm1", "type": "libvirt"}
    saved = checkpoint("my cp", nic(HOME))
    found = report([N1, kvm], [machine("desk", "kvm1", nic(OTHER, "static"), checkpoints=[saved])])
    virsh = "virsh -c qemu+ssh://kvm1/system"
    assert only(found, "redrawnBeforeRollback").commands == (
        f"{virsh} snapshot-dumpxml --security-info desk 'my cp' "
        "| sed s/00:15:5d:01:05:07/00:15:5d:01:06:07/ > snapshot.xml",
        f"{virsh} snapshot-delete desk 'my cp' --metadata",
        f"{virsh} snapshot-create desk snapshot.xml --redefine",
    )
    found = report([N1, kvm], [machine("desk", "kvm1", checkpoints=[saved])])
    assert only(found, "redrawnBeforeRollback").commands == ()
    found = report([N1], [machine("desk", "", nic(OTHER, "static"), checkpoints=[saved])])
    assert only(found, "redrawnBeforeRollback").commands == ("weft import INVENTORY",)


def test_one_address_in_the_checkpoints_of_two_machines() -> None:
    desks = [machine(name, "n2", nic(""), checkpoints=[checkpoint("c", nic(NOWHERE))], power="off") for name in "ab"]
    one = only(report([N2], desks), "checkpointTwins")
    assert (one.severity, one.machines) == ("warning", ("a", "b"))
    assert len(one.commands) == 1
