"""Measurements against yardsticks taken in the same run: `make bench`, or `python -m weft.bench P1 P4 --size small`.

Nothing here judges a time. Each bench is a module with `run(size)` that yields rows; results go to bench/results.json.
"""
