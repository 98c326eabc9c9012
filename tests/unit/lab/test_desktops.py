"""The story of pooled desktops as it goes without Weft; with it the demo itself is the test (tests/e2e)."""

import msgspec
import pytest

from weft.lab.demo_desktops import duplicate, neither, show, storm
from weft.lab.demo_stage import NotSo
from weft.lab.desktops import Lived, NobodyWatches, TheWorkaround, live

OURS = Lived("001DD8B71C00", "001DD8B71C00", (), "001DD8B71C00", ("desk1",), 0, 0, ("000000000000", True))


async def test_left_to_the_hosts_it_ends_in_a_duplicate():
    left = await live(NobodyWatches())
    duplicate(left)
    assert (left.first, left.users, left.reboots, left.off_network) == ("00155D010A00", ("desk1", "new6"), 0, 3600)
    for wrong in (neither, storm):
        with pytest.raises(NotSo):
            wrong(left)


async def test_with_the_workaround_each_logoff_is_a_reboot_and_another_address():
    around = await live(TheWorkaround())
    storm(around)
    assert (around.reboots, around.off_network, around.users) == (3, 22, ("desk1",))
    for wrong in (neither, duplicate):
        with pytest.raises(NotSo):
            wrong(around)


@pytest.mark.parametrize(
    "otherwise",
    [
        {"moved": "00155D011400"},
        {"given_again": ("new6",)},
        {"users": ("desk1", "new6")},
        {"reboots": 1},
        {"off_network": 2},
        {"template": ("001DD8B71C09", False)},
    ],
)
def test_each_claim_for_ours_can_fail(otherwise):
    neither(OURS)
    with pytest.raises(NotSo):
        neither(msgspec.structs.replace(OURS, **otherwise))


def test_its_lines_fit_beside_the_margin_of_the_demo():
    said = []
    show(said.append, (OURS, OURS, msgspec.structs.replace(OURS, users=("desk1", "new6"))))
    assert len(said) == 9
    assert max(map(len, said)) <= 71
