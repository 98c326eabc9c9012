"""What the ledger says about a pool besides its counts. Called by the API when a macPool is answered, and by control
when one is made.
"""

from weft.core.macs import range_warnings
from weft.model.fabric import MacPoolProperties
from weft.model.resources import Resource
from weft.model.values import parse_mac


def warnings_for(pool: Resource[MacPoolProperties]) -> list[str]:
    """Sentences about a stored macPool that was accepted but may clash with others; none if all is well."""
    return range_warnings(parse_mac(pool.properties.start_mac_address), parse_mac(pool.properties.end_mac_address))
