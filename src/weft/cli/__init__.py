"""The command line: everything a person does with a controller, over its public API only. `commands` joins it.

Imports nothing itself: the lab reads files and applies them with single modules of this room, and starts quickly.
"""
