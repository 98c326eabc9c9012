"""What people type for kinds and resources."""

import pytest

from weft.cli.desk import Misuse
from weft.cli.names import address_word, end_of_trace, is_kind, pool_ref, subnet_ref, target_of


@pytest.mark.parametrize(
    ("words", "of", "ref", "one"),
    [
        (["virtualNetworks"], "", "/virtualNetworks/", False),
        (["VIRTUALNETWORK", "Blue"], "", "/virtualNetworks/Blue", True),
        (["virtualNetworks/blue/Subnet"], "", "/virtualNetworks/blue/subnets", False),
        (["subnets"], "vnet/blue", "/virtualNetworks/blue/subnets", False),
        (["subnets", "web"], "virtualNetworks/blue", "/virtualNetworks/blue/subnets/web", True),
        (["/networking/v1/Servers/host1"], "", "/servers/host1", True),
        (["/weft/virtualMachines/web1"], "", "/weft/virtualMachines/web1", True),
        (["vms", "web1"], "", "/weft/virtualMachines/web1", True),
        (["nic"], "", "/networkInterfaces/", False),
        (["virtualNetworkManager"], "", "/virtualNetworkManager/configuration", True),
        (["logicalNetworks/a/subnets/b/ipPools", "c"], "", "/logicalNetworks/a/subnets/b/ipPools/c", True),
    ],
)
def test_targets(words: list[str], of: str, ref: str, one: bool) -> None:
    target = target_of(words, of)
    assert (target.ref, target.one) == (ref, one)


def test_unknown_kind_suggests_the_nearest() -> None:
    with pytest.raises(Misuse, match="unknown kind 'virtualNetwrks'; did you mean virtualNetworks?"):
        target_of(["virtualNetwrks"])
    with pytest.raises(Misuse, match="virtualNetworks have no 'subnts'; did you mean subnets?"):
        target_of(["virtualNetworks/blue/subnts"])


@pytest.mark.parametrize("word", ["servers", "VM", "nics", "subnets", "srvers", "virtalMachines", "macpol", "gateway"])
def test_what_is_meant_as_a_kind(word: str) -> None:
    assert is_kind(word)


@pytest.mark.parametrize("name", ["server1", "pool1", "host2", "server-a", "webserver", "mailserver", "network1"])
def test_a_name_that_begins_like_a_kind_is_a_name(name: str) -> None:
    assert not is_kind(name)


def test_subnets_pools_and_addresses() -> None:
    assert subnet_ref("blue/web") == "/virtualNetworks/blue/subnets/web"
    assert subnet_ref("/logicalNetworks/a/subnets/b") == "/logicalNetworks/a/subnets/b"
    with pytest.raises(Misuse, match="write NETWORK/SUBNET"):
        subnet_ref("virtualNetworks/blue/subnets")
    assert pool_ref("pool1") == "/macPools/pool1"
    assert pool_ref("macpools/pool1") == "/macPools/pool1"
    assert pool_ref("blue/web") == "/virtualNetworks/blue/subnets/web"
    assert address_word("00:1d:d8:b7:1c:07") == "00-1D-D8-B7-1C-07"
    assert address_word("10.1.1.4") == "10.1.1.4"
    assert end_of_trace("10.1.1.4") == "10.1.1.4"
    assert end_of_trace("fd00::1") == "fd00::1"
    assert end_of_trace("web1-eth0") == "/networkInterfaces/web1-eth0"


@pytest.mark.parametrize(
    ("words", "of", "ref", "one"),
    [
        (["checkpoints"], "vm/web1", "/weft/virtualMachines/web1/checkpoints", False),
        (["exports", "friday"], "virtualMachines/web1", "/weft/virtualMachines/web1/exports/friday", True),
        (["virtualMachines/web1/checkpoint/a"], "", "/weft/virtualMachines/web1/checkpoints/a", True),
        (["reservations", "r1"], "", "/weft/reservations/r1", True),
        (["addressPlan", "p1"], "", "/weft/addressPlans/p1", True),
    ],
)
def test_what_a_machine_owns_is_named_below_it(words: list[str], of: str, ref: str, one: bool) -> None:
    target = target_of(words, of)
    assert (target.ref, target.one) == (ref, one)


@pytest.mark.parametrize(
    ("word", "of", "instead"),
    [("subnets", "blue", "virtualNetworks/blue"), ("aclRules", "servers9", "accessControlLists/servers9")],
)
def test_a_parent_without_its_kind(word: str, of: str, instead: str) -> None:
    with pytest.raises(Misuse, match=f"write: weft get {word} --of {instead}$"):
        target_of([word], of)


def test_checkpoints_of_nobody() -> None:
    with pytest.raises(Misuse, match="weft get checkpoints --of virtualMachines/NAME"):
        target_of(["checkpoints"])
    with pytest.raises(Misuse, match="virtualMachines have no 'checkponts'; did you mean checkpoints?"):
        target_of(["virtualMachines/web1/checkponts"])


def test_a_hosts_range_is_a_pool() -> None:
    assert pool_ref("servers/host1/macrange") == "/servers/host1/macRange"
