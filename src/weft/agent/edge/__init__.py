"""The edge: what a gateway host does for routing domains, and how it sees who lives."""
