"""What the controller is told of a host's place on the provider network. Called by ovs/plane.py. Pure."""

from collections.abc import Iterable

from weft.agent.encryption import Pair
from weft.agent.encryption_keeper import EncryptionKeeper
from weft.agent.provider_keeper import ProviderKeeper
from weft.model.values import PackedIp
from weft.wire.messages import AdapterFact, HolderFact, ProviderFacts

_NOBODY = "its agent was given nothing that encrypts"


def provider_facts(
    keeper: ProviderKeeper | None,
    encryption: EncryptionKeeper | None,
    unprobed: tuple[str, ...],
    sealed: Iterable[Pair],
) -> ProviderFacts | None:
    """None where nobody asks. `sealed` is between which addresses flows take tunnels to be encrypted."""
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
        _by_own(sealed),
    )


def _by_own(pairs: Iterable[Pair]) -> tuple[tuple[PackedIp, tuple[PackedIp, ...]], ...]:
    others: dict[PackedIp, list[PackedIp]] = {}
    for pair in pairs:
        others.setdefault(pair.local, []).append(pair.remote)
    return tuple((own, tuple(sorted(others[own]))) for own in sorted(others))
