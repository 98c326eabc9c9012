"""What a publisher knows by increments alone, held against a compile from nothing."""

from collections import defaultdict

from tests.property.core.policy_driver import Driver
from tests.property.core.policy_steps import HOSTS, NETWORKS
from weft.core import policy


class Mirror:
    """A publisher's view: all streams, kept up to date by increments alone."""

    def __init__(self):
        self.streams = {}

    def follow(self, state, changes):
        keys = defaultdict(list)
        for stream, key in policy.touched(state, changes):
            keys[stream].append(key)
        for stream, named in keys.items():
            held = self.streams.setdefault(stream, {})
            for key, record in policy.records(state, stream, named).items():
                assert record == policy.record(state, stream, key)
                if record is None:
                    held.pop(key, None)
                else:
                    assert record.key == key
                    held[key] = record


def whole(state):
    found = {("network", rdid): policy.network_stream(state, rdid) for rdid in NETWORKS.values()}
    return found | {("host", host.lower()): policy.host_stream(state, host) for host in HOSTS}


def check(history):
    driver, mirror = Driver(), Mirror()
    mirror.follow(driver.world.state, driver.world.taken())
    for ends_commit, (name, *arguments) in history:
        getattr(driver, name)(*arguments)
        if ends_commit:
            mirror.follow(driver.world.state, driver.world.taken())
            compare(mirror, driver)
    mirror.follow(driver.world.state, driver.world.taken())
    compare(mirror, driver)


def compare(mirror, driver):
    for stream, records in whole(driver.world.state).items():
        assert mirror.streams.get(stream, {}) == records, stream
