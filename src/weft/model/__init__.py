"""Nouns: frozen structs in the field's words. No I/O, no clock, no randomness."""
