"""What the ledger says about a pool besides its counts. Called by the API when a macPool is answered."""

from weft.core.macs import range_warnings
from weft.core.pools import Pool
from weft.model.fabric import MacPoolProperties
from weft.model.resources import Resource
from weft.model.values import parse_mac


def warnings_for(pool: Resource[MacPoolProperties]) -> list[str]:
    """Sentences about a stored macPool that was accepted but may clash with others; none if all is well."""
    return range_warnings(parse_mac(pool.properties.start_mac_address), parse_mac(pool.properties.end_mac_address))


def fill_warning(pool: Pool) -> str:
    """A sentence about a pool that is filled to its warnAtPercent or beyond; empty while it is not."""
    if not pool.warns:
        return ""
    free = pool.capacity - pool.taken.used
    share = 100 * pool.taken.used / pool.capacity
    return (
        f"{pool.spec.ref} is {share:.1f} % full ({free} of {pool.capacity} addresses are free, warnAtPercent is "
        f"{pool.spec.warn_at}): add a pool before no address is left."
    )
