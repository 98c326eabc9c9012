"""What the controller is told of a host's place on the provider network. Called by ovs/plane.py. Pure."""

from weft.agent.encryption_keeper import EncryptionKeeper
from weft.agent.provider_keeper import ProviderKeeper
from weft.wire.messages import AdapterFact, HolderFact, ProviderFacts

_NOBODY = "its agent was given nothing that encrypts"


def provider_facts(
    keeper: ProviderKeeper | None, encryption: EncryptionKeeper | None, unprobed: tuple[str, ...]
) -> ProviderFacts | None:
    """None where nobody asks."""
    if keeper is None and encryption is None:
        return None
    adapters = tuple(
        AdapterFact(
            address,
            one.name,
            one.mtu,
            one.uplinks,
            tuple(sorted(one.offloads)) if one.offloads is not None else None,
        )
        for address, one in (sorted(keeper.adapters.items()) if keeper is not None else ())
    )
    holders = keeper.claims.holders() if keeper is not None else ()
    return ProviderFacts(
        adapters,
        tuple(HolderFact(one.address, one.mac, one.used) for one in holders),
        unprobed,
        encryption.why_not if encryption is not None else _NOBODY,
        tuple((one.local, one.remote) for one in encryption.in_clear) if encryption is not None else (),
    )
