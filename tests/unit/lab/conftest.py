"""What tests of the lab's words share."""

import signal

import pytest


@pytest.fixture
def terminal():
    """Ctrl-C as from a terminal: these tests themselves may have been begun in the background, with SIGINT ignored."""
    kept = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for one, old in kept.items():
        signal.signal(one, old)
