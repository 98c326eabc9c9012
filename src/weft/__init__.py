"""Weft: a network controller. Only the version stands here; docs/architecture.md shows the rooms."""

__version__ = "0.1.0"
