"""What every driver of tunnel encryption promises: the fake, and the one that docs/networks.md shows, before a charon
that is played here, since kernels that this is tried on have no ESP. A driver of your own is held to it by a line in
`worlds`."""

import asyncio
import gzip
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from weft.agent.encryption import EncryptionFailure, Pair, TunnelEncryption
from weft.agent.ovs.no_encryption import NoEncryption, kernel_has_esp
from weft.fakes.encryption import Ipsec
from weft.model.values import ip_text, pack_ip

ONE, TWO, THREE = map(pack_ip, ("192.168.1.10", "192.168.2.20", "192.168.2.30"))
THERE, BACK, AWAY = Pair(ONE, TWO), Pair(TWO, ONE), Pair(ONE, THREE)

Ends = tuple[TunnelEncryption, TunnelEncryption]


def fake() -> Ends:
    world = Ipsec()
    return world.host("one"), world.host("two")


class Charon:
    """strongSwan's daemon of one host, as far as the driver asks it; `others` are those of the other hosts."""

    def __init__(self, others: list["Charon"]) -> None:
        self.loaded: dict[str, dict[str, Any]] = {}
        self._others = others
        others.append(self)

    async def answers(self) -> bool:
        return True

    async def connections(self, prefix: str) -> set[str]:
        return {one for one in self.loaded if one.startswith(prefix)}

    async def unload(self, name: str) -> None:
        del self.loaded[name]

    async def load(self, name: str, connection: dict[str, Any]) -> None:
        child = connection["children"]["tunnels"]
        assert (child["mode"], set(child["start_action"].split("|"))) == ("transport", {"trap", "start"})
        assert connection["local"] == {"certs": ["host"]}
        self.loaded[name] = connection

    async def installed(self) -> set[str]:
        there = [_ends(one) for other in self._others if other is not self for one in other.loaded.values()]
        return {name for name, one in self.loaded.items() if tuple(reversed(_ends(one))) in there}


def _ends(connection: dict[str, Any]) -> tuple[str, str]:
    (local,), (remote,) = connection["local_addrs"], connection["remote_addrs"]
    return local, remote


def documented() -> Ends:
    page = (Path(__file__).parents[2] / "docs" / "networks.md").read_text()
    (text,) = re.findall(r"```python\n(class StrongSwan.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {"kernel_has_esp": lambda root, release: True, "Path": Path, "os": os, "ip_text": ip_text}
    exec(text, names)
    others: list[Charon] = []
    one, two = (names["StrongSwan"](Charon(others), {"certs": ["host"]}) for _ in range(2))
    return one, two


worlds: list[Callable[[], Ends]] = [fake, documented]


@pytest.fixture(params=worlds)
def ends(request: pytest.FixtureRequest) -> Ends:
    made: Ends = request.param()
    return made


async def test_a_pair_is_encrypted_once_both_ends_keep_it(ends: Ends) -> None:
    one, two = ends
    assert await one.why_not() == await two.why_not() == ""
    assert await one.keep(frozenset({THERE})) == frozenset()
    assert await two.keep(frozenset({BACK})) == {BACK}
    assert await one.keep(frozenset({THERE})) == {THERE}


async def test_it_is_told_by_level(ends: Ends) -> None:
    one, two = ends
    await two.keep(frozenset({BACK}))
    for _ in range(2):
        assert await one.keep(frozenset({THERE, AWAY})) == {THERE}, "nobody keeps the other pair"
    assert await one.keep(frozenset()) == frozenset()
    assert await two.keep(frozenset({BACK})) == frozenset(), "the other end has let go"
    assert await one.keep(frozenset({THERE})) == {THERE}


async def test_the_fake_takes_its_time_as_a_negotiation_does() -> None:
    world = Ipsec()
    world.takes_s = 0.5
    one, two = world.host("one"), world.host("two")

    async def sealed() -> frozenset[Pair]:
        await two.keep(frozenset({BACK}))
        return await one.keep(frozenset({THERE}))

    for _ in range(2):
        began = asyncio.get_running_loop().time()
        assert await sealed() == frozenset()
        while not await sealed():
            await asyncio.sleep(0.005)
        assert asyncio.get_running_loop().time() - began >= world.takes_s
        assert await two.keep(frozenset()) == frozenset(), "who lets go begins anew"


async def test_the_fake_fails_as_a_driver_may() -> None:
    world = Ipsec()
    one, two = world.host("one"), world.host("two")
    await two.keep(frozenset({BACK}))
    two.lacks = "its kernel has no ESP (CONFIG_INET_ESP)"
    assert await two.why_not() == two.lacks and await two.keep(frozenset({BACK})) == frozenset()
    assert await one.keep(frozenset({THERE})) == frozenset()
    one.failure = "charon does not answer"
    for asked in (one.why_not(), one.keep(frozenset({THERE}))):
        with pytest.raises(EncryptionFailure, match="charon"):
            await asked


@pytest.mark.parametrize(
    ("datapath", "esp", "why"),
    [
        ("netdev", True, "userspace"),
        ("netdev", False, "userspace"),
        ("system", False, "CONFIG_INET_ESP"),
        ("", True, "driver"),
    ],
)
async def test_without_a_driver_it_is_said_what_is_missing(datapath: str, esp: bool, why: str) -> None:
    none = NoEncryption(lambda: datapath, esp)
    assert why in await none.why_not()
    assert await none.keep(frozenset({THERE})) == frozenset()


@pytest.mark.parametrize(
    ("path", "content", "has"),
    [
        ("boot/config-6.1", b"CONFIG_INET_ESP=m\n", True),
        ("boot/config-6.1", b"# CONFIG_INET_ESP is not set\n", False),
        ("proc/config.gz", gzip.compress(b"CONFIG_XFRM=y\nCONFIG_INET_ESP=y\n", mtime=0), True),
        ("proc/config.gz", gzip.compress(b"# CONFIG_INET_ESP is not set\n", mtime=0), False),
        ("proc/config.gz", b"broken", False),
        ("lib/modules/6.1/modules.dep", b"kernel/net/ipv4/esp4.ko.xz: kernel/net/xfrm/xfrm_algo.ko.xz\n", True),
        ("lib/modules/6.1/modules.builtin", b"kernel/net/ipv4/ah4.ko\n", False),
        ("lib/modules/6.2/modules.builtin", b"kernel/net/ipv4/esp4.ko\n", False),
        ("sys/module/esp4/refcnt", b"0", True),
    ],
)
def test_whether_the_kernel_has_esp_is_read_from_what_it_says(
    tmp_path: Path, path: str, content: bytes, has: bool
) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_bytes(content)
    assert kernel_has_esp(tmp_path, "6.1") is has
