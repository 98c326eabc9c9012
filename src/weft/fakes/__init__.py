"""Stand-ins that behave: a switch that forwards packets by the OpenFlow rules, a network that joins such switches, a
hypervisor whose machines plug into them. Shipped, since the simulated demo uses them as the tests do."""
