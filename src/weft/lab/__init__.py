"""The small datacenter in network namespaces: hosts with their Open vSwitch, guests, a router.

Importing it works on any system: what needs Linux is imported where it is used. Imports nothing itself: an agent loads
its driver from here.
"""
