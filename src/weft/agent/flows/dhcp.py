"""How packets of DHCP are known: by the UDP ports of servers and clients (RFC 2131 section 4.1, RFC 8415 section 7.2).

Read by what says who may send them (security.py, segment.py, limits.py) and who hears them (access.py). Pure.
"""

from weft.agent.flows.fields import IP_PROTO, PROTO_UDP, UDP_DST, UDP_SRC
from weft.agent.flows.flow import IS_IPV4, IS_IPV6, Match, exact

_SERVER4, _CLIENT4 = 67, 68
_SERVER6, _CLIENT6 = 547, 546
_UDP4: Match = (*IS_IPV4, exact(IP_PROTO, PROTO_UDP))
_UDP6: Match = (*IS_IPV6, exact(IP_PROTO, PROTO_UDP))

ASKS4: Match = (*_UDP4, exact(UDP_SRC, _CLIENT4), exact(UDP_DST, _SERVER4))
ASKS6: Match = (*_UDP6, exact(UDP_SRC, _CLIENT6), exact(UDP_DST, _SERVER6))
"""A client to servers: everybody's, or one that it knows."""
ANSWERS4: Match = (*_UDP4, exact(UDP_SRC, _SERVER4), exact(UDP_DST, _CLIENT4))
ANSWERS6: Match = (*_UDP6, exact(UDP_SRC, _SERVER6), exact(UDP_DST, _CLIENT6))
"""A server to clients."""
FROM_SERVERS: tuple[Match, ...] = ((*_UDP4, exact(UDP_SRC, _SERVER4)), (*_UDP6, exact(UDP_SRC, _SERVER6)))
"""To relays too."""
FOR_CLIENTS: tuple[Match, ...] = ((*_UDP4, exact(UDP_DST, _CLIENT4)), (*_UDP6, exact(UDP_DST, _CLIENT6)))
"""Whatever port it is sent from."""
