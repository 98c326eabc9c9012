"""Many changes in portions that a script can take. Pure; called by the agent's plane.

Windows PowerShell 5.1 reads about two megabytes of JSON, and a script that makes thousands of records takes minutes, in
which nothing is known of it.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from weft.core.hyperv.differences import Changes

MOST = 500
"""About 100 kB, and some seconds."""


def portions(changes: Changes, most: int = MOST) -> Iterator[Changes]:
    """The same changes, kind after kind as they stand in Changes, at most so many in each."""
    portion: dict[str, Any] = {}
    room = most
    for name in Changes.__struct_fields__:
        value = getattr(changes, name)
        if value is True:
            portion[name] = True
        elif value:
            left = list(value)
            while left:
                if room == 0:
                    yield msgspec.structs.replace(Changes(), **portion)
                    portion, room = {}, most
                portion[name], left = tuple(left[:room]), left[room:]
                room -= len(portion[name])
    if portion:
        yield msgspec.structs.replace(Changes(), **portion)
