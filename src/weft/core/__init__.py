"""Verbs without I/O: what may change, what follows from it, and what a host must be told."""
