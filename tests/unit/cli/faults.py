"""The faults of a file."""

import pytest

from weft.cli.faults import BadFile
from weft.cli.files import parse_stream


def faults(text: str) -> list[str]:
    with pytest.raises(BadFile) as caught:
        parse_stream(text, "f.yaml")
    return [str(fault) for fault in caught.value.faults]
