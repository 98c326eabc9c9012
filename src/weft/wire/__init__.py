"""What crosses the network between controller and agents, and the HTTP client of the public API."""
