"""Where a lab's controller listens."""

import socket
import subprocess
import sys

import pytest

from weft.lab import control

ANOTHER = """
import sys
from weft.lab.control import _free_port
print(_free_port(sys.argv[1]), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def others():
    """Asks for a port as another command does, which goes on until the test ends."""
    running = []

    def ask(lab):
        words = [sys.executable, "-c", ANOTHER, lab]
        running.append(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return int(running[-1].stdout.readline())

    yield ask
    for one in running:
        one.communicate()


def test_two_labs_that_begin_together_choose_different_ports(others):
    first, second = others("same"), others("same")
    assert first != second
    # whose it is, can listen there
    with socket.create_server(("127.0.0.1", first)):
        assert not control._is_free(first)
