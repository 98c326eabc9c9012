"""What is wrong, and what will go wrong, with the addresses of an inventory. Pure; linear in its size.

`report.audit` is what weft.api and weft.cli call. Each other module looks for one kind of trouble in a `Survey`, and
yields findings; none of them compares every machine with every other.
"""
