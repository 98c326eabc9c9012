"""What the controller is told of a host's place on the provider network. Called by ovs/plane.py. Pure."""

from weft.agent.provider_keeper import ProviderKeeper
from weft.wire.messages import AdapterFact, HolderFact, ProviderFacts


def provider_facts(keeper: ProviderKeeper | None) -> ProviderFacts | None:
    """None where nobody asks."""
    if keeper is None:
        return None
    adapters = tuple(
        AdapterFact(
            address,
            one.name,
            one.mtu,
            one.uplinks,
            tuple(sorted(one.offloads)) if one.offloads is not None else None,
        )
        for address, one in sorted(keeper.adapters.items())
    )
    holders = tuple(HolderFact(one.address, one.mac, one.used) for one in keeper.claims.holders())
    return ProviderFacts(adapters, holders)
