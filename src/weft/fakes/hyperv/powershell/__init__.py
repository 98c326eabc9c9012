"""The part of PowerShell that Weft's scripts use, run as Windows PowerShell 5.1 runs it. Begin with run.py.

What it does not know raises NotUnderstood with the line: a script never passes here by silence.
"""
