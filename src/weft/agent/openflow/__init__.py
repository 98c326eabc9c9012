"""OpenFlow on the wire, and the connection that carries it."""
