"""The provider network as an agent asks it past its switch: where addresses are, and who else has them.

What run.py makes of netlink and raw sockets. Tests give addresses to other machines and take them away again.
"""

import ipaddress
from collections.abc import Callable, Mapping

from weft.agent.encryption import TunnelEncryption
from weft.agent.outside import Adapter, Outside, Stop
from weft.fakes.addresses import DEVICE
from weft.model.values import PackedIp, pack_ip


class ProviderLan:
    """Of one host. All that is asked is answered at once."""

    def __init__(self, adapter: Adapter | None = None) -> None:
        one = adapter or Adapter(DEVICE, b"\x02\x00\x00\x00\x00\x01", 1500)
        self.adapters: dict[str, Adapter] = {one.name: one}
        """The host's interfaces; change them as an operator would."""
        self.encryption: TunnelEncryption | None = None
        self.carrier = ""
        """The interface that the agent is told of, as its operator would."""
        self.asked: list[str] = []
        """Addresses that somebody probed for."""
        self._others: dict[PackedIp, str] = {}
        self._ears: dict[PackedIp, list[Callable[[str], None]]] = {}

    def outside(self) -> Outside:
        return Outside(self._ping, self._other_holder, self._adapters, self._listen, self.encryption, self.carrier)

    def claim(self, address: str, mac: str) -> None:
        """Another machine has it from now on, and says so."""
        packed = pack_ip(address)
        self._others[packed] = mac
        for heard in self._ears.get(packed, ()):
            heard(mac)

    def give_up(self, address: str) -> None:
        self._others.pop(pack_ip(address), None)

    async def _ping(self, local: PackedIp, remote: PackedIp) -> bool:
        return True

    async def _other_holder(self, address: PackedIp, adapter: Adapter) -> str:
        self.asked.append(str(ipaddress.ip_address(address)))
        return self._others.get(address, "")

    async def _adapters(self, places: Mapping[PackedIp, str]) -> Mapping[PackedIp, Adapter]:
        return {one: self.adapters[name] for one, name in places.items() if name in self.adapters}

    def _listen(self, address: PackedIp, adapter: Adapter, heard: Callable[[str], None]) -> Stop:
        ears = self._ears.setdefault(address, [])
        ears.append(heard)
        return lambda: ears.remove(heard)
