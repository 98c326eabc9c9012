"""What several contract suites stand on: a pair of libvirt daemons for a module, and a disk that they can make."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.hypervisor_worlds import libvirt_world
from weft.model.hypervisor import Disk


@pytest.fixture(scope="module")
def libvirt_daemons() -> Iterator[object]:
    """For all tests of a file: they start once."""
    with libvirt_world() as made:
        yield made


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(str(tmp_path / "web.qcow2"), 1)
