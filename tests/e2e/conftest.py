"""A lab of its own for each test, gone afterwards whatever happened."""

import tempfile
from pathlib import Path

import pytest

from tests.e2e.labs import Lab, namespaces, own, processes


@pytest.fixture
def folder():
    """Short, for the sockets below it."""
    with tempfile.TemporaryDirectory(prefix="wl") as short:
        yield Path(short) / "l"


@pytest.fixture
def make_lab(folder):
    made = []

    def make(name):
        made.append(Lab(own(name), folder))
        return made[-1]

    yield make
    for lab in made:
        lab.end()
    left = {lab.name: (namespaces(lab.name), processes(str(folder / lab.name))) for lab in made}
    assert all(found == ([], []) for found in left.values()), left
    assert not folder.exists()


@pytest.fixture
def lab(make_lab):
    return make_lab("one")
