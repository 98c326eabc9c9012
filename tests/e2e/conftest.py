"""Labs for the tests: one of their own, or one that a module's tests share; gone afterwards whatever happened."""

import tempfile
from pathlib import Path

import pytest

from tests.e2e.labs import Lab, own
from tests.waiting import until


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
    assert not folder.exists()


@pytest.fixture
def lab(make_lab):
    return make_lab("one")


@pytest.fixture(scope="module")
def module_lab(request):
    """A lab of the module's FILE, and what its status says."""
    with tempfile.TemporaryDirectory(prefix="wl") as short:
        lab = Lab(own("all"), Path(short) / "l")
        try:
            lab.run("up", request.module.FILE)
            yield lab, lab.run("status")
        finally:
            lab.end()
        assert not lab.folder.exists()


@pytest.fixture
def shared(request, module_lab):
    """The module's lab, as its file says: what a test left otherwise, also by failing, is mended before the next."""
    lab, status = module_lab
    if lab.run("status") != status:
        lab.run("up", request.module.FILE)
        # libvirt clears up after a move a second later
        until(lambda: lab.run("status") == status, lambda: lab.run("status"))
    return lab
