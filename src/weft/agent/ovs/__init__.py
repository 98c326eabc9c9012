"""Open vSwitch: its database, its switch, and the plane of a host that has it."""
