"""A world for the whole life of machines: every command that it grants is checked to apply and revert bit for bit."""

import copy
from typing import Any

from tests.unit.core.world import World, dynamic_interface
from weft.core.changes import LeaseChange
from weft.core.commands import Command, Decision
from weft.core.decide import decide
from weft.core.decide.ip_configurations import addresses_of
from weft.model.leases import MAC_SCOPE, Lease, ip_scope
from weft.model.values import parse_mac

WEB = "/virtualNetworks/blue/subnets/web"
POOL = ("02-00-00-00-00-00", "02-00-00-00-00-FF")
CHECKPOINT = "/weft/virtualMachines/web1/checkpoints/c1"
EXPORT = "/weft/virtualMachines/web1/exports/e1"


class Life(World):
    """h1 and h2, network blue, machine web1 on h1 with interface web1-eth0: MAC ..00, address 10.1.1.2."""

    def __init__(self, power: str = "Off") -> None:
        super().__init__()
        self.fabric(POOL)
        self.network()
        self.interface("web1-eth0")
        self.machine("web1", "h1", power, "web1-eth0")

    def do(self, command: Command) -> Decision:
        before = copy.deepcopy(self.state)
        decision = decide(self.state, command, self.now, self.new_id)
        assert self.state == before, "a decision changed the state"
        for change in decision.changes:
            self.state.apply(change)
        after = copy.deepcopy(self.state)
        for change in reversed(decision.changes):
            self.state.revert(change)
        assert self.state == before, "revert is not the inverse of apply"
        for change in decision.changes:
            self.state.apply(change)
        assert self.state == after
        self.state.revision += bool(decision.changes)
        return decision

    def second(self, name: str = "web1-eth1", subnet: str | None = WEB) -> None:
        """Give web1 another interface."""
        self.interface(name, subnet)
        have = [
            ref.resource_ref.rpartition("/")[2]
            for ref in self.get("/weft/virtualMachines/web1").properties.network_interfaces
        ]
        self.machine("web1", "h1", "Off", *have, name)

    def addresses(self, interface: str) -> str:
        """What an interface has: MAC, then its IP addresses, joined by spaces; the ledger must say the same."""
        stored = self.get(f"/networkInterfaces/{interface}")
        digits = stored.properties.private_mac_address
        if digits:
            assert self.holders(MAC_SCOPE, int(digits, 16)).count(f"/networkInterfaces/{interface}") == 1
        for scope, address in addresses_of(self.state, stored):
            assert self.holders(scope, address).count(f"/networkInterfaces/{interface}") == 1
        texts = [one.properties.private_ip_address or "-" for one in stored.properties.ip_configurations]
        return " ".join([digits[-2:] if digits else "-", *texts])

    def holders(self, scope: str, address: int) -> list[str]:
        lease = self.state.lease(scope, address)
        return [] if lease is None or lease.state == "cooling" else [holder.ref for holder in lease.holders]

    def mac(self, last: int) -> tuple[str, list[str]]:
        """State and holders of an address of the pool."""
        lease = self.state.lease(MAC_SCOPE, parse_mac(POOL[0]) + last)
        return (
            ("free", [])
            if lease is None
            else (lease.state, [holder.ref.rpartition("/")[2] for holder in lease.holders])
        )

    def ip(self, last: int, network: str = "blue") -> tuple[str, list[str]]:
        lease = self.ip_lease(last, network)
        return (
            ("free", [])
            if lease is None
            else (lease.state, [holder.ref.rpartition("/")[2] for holder in lease.holders])
        )

    def ip_lease(self, last: int, network: str = "blue") -> Lease | None:
        return self.state.lease(ip_scope(f"/virtualNetworks/{network}", 4), (10 << 24) + (1 << 16) + (1 << 8) + last)

    def inactive(self, interface: str) -> set[float]:
        """Since when the holders of an interface's addresses are marked."""
        stored = self.get(f"/networkInterfaces/{interface}")
        places = [(MAC_SCOPE, int(stored.properties.private_mac_address, 16)), *addresses_of(self.state, stored)]
        leases = [self.state.lease(*place) for place in places]
        return {
            holder.inactive
            for lease in leases
            if lease is not None
            for holder in lease.holders
            if holder.ref == f"/networkInterfaces/{interface}"
        }

    def host_range(self) -> None:
        """A plan, h1 and h2 each with a range of it."""
        self.put("/weft/addressPlans/plan", {"prefix": "02-55-5D"})
        for server in ("h1", "h2"):
            old = self.get(f"/servers/{server}")
            body: dict[str, Any] = {
                "networkInterfaces": [
                    {
                        "resourceId": "nic1",
                        "properties": {
                            "logicalSubnets": [{"resourceRef": f"/logicalNetworks/hnvpa/subnets/pa{server[1]}"}]
                        },
                    }
                ],
                "providerAddresses": list(old.properties.provider_addresses),
                "addressPlan": {"resourceRef": "/weft/addressPlans/plan"},
                "clusterNumber": 3,
            }
            self.put(f"/servers/{server}", body)


def events(decision: Decision) -> list[tuple[str, str, str]]:
    """(Event, machine, host) of every address that a decision touches."""
    return [(one.event, one.machine, one.host) for one in decision.changes if isinstance(one, LeaseChange)]


def waiting_interface(**more: Any) -> dict[str, Any]:
    """One that waits for its host's range."""
    return dynamic_interface(WEB, strategy="hostRange", **more)
