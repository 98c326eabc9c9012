"""The small datacenter in network namespaces: hosts with their Open vSwitch, guests, a router between (`weft lab`, `weft demo`)."""
