"""A machine that stands still at the source of a migration: what libvirt says of it, and what is left of one. Real
libvirtd."""

import libvirt
import msgspec
import pytest

from tests.cluster.control import HandClock
from tests.contract.hypervisor_worlds import (
    START,
    WEB_PORTS,
    do,
)
from tests.contract.libvirt_by_hand import web, world
from weft.agent.hypervisors import Define, HypervisorFailure, Migrate
from weft.agent.libvirt.domain_xml import Platform
from weft.agent.libvirt.facts import STRANDED_SECONDS, facts_of, is_handed_over, is_stranded
from weft.agent.libvirt.host import Host
from weft.agent.libvirt.moving import migrate
from weft.agent.libvirt.power import Lives

pytestmark = pytest.mark.root

__all__ = ["world"]

HELD = (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_MIGRATION)
OUT = libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT


class Standing:
    """A domain in a state of libvirt's, with a reason; the operation that is under way, or why none is told, and the
    one that ended last. All else it is as the domain behind it, if there is one."""

    def __init__(self, *state, job=None, ended=None, behind=None):
        self._state = list(state)
        self.job = job
        self.ended = ended
        self._behind = behind

    def __getattr__(self, name):
        if self._behind is None:
            raise AttributeError(name)
        return getattr(self._behind, name)

    def state(self, flags=0):
        return list(self._state)

    def jobStats(self, flags=0):
        if isinstance(self.job, Exception):
            raise self.job
        over = flags & libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED
        kind, operation = (libvirt.VIR_DOMAIN_JOB_UNBOUNDED, self.job)
        if over:
            kind, operation = (libvirt.VIR_DOMAIN_JOB_COMPLETED, self.ended)
        return {"type": libvirt.VIR_DOMAIN_JOB_NONE} if operation is None else {"type": kind, "operation": operation}

    def UUIDString(self):
        return "id" if self._behind is None else self._behind.UUIDString()

    def ID(self):
        return 7 if self._behind is None else self._behind.ID()


class Left:
    """A connection to a libvirtd that lost the destination of what it was sending in the very last moment: no operation
    is under way, and all that ran stands still for the one that was."""

    def __init__(self, behind):
        self._behind = behind

    def __getattr__(self, name):
        return getattr(self._behind, name)

    def listAllDomains(self, flags=0):
        return [self._left(one) for one in self._behind.listAllDomains(flags)]

    def lookupByUUIDString(self, uuid):
        return self._left(self._behind.lookupByUUIDString(uuid))

    def lookupByName(self, name):
        return self._left(self._behind.lookupByName(name))

    def _left(self, domain):
        return Standing(*HELD, behind=domain) if domain.isActive() else domain


def test_a_machine_is_handed_over_by_the_host_that_it_ran_on():
    coming, here, before = (Lives(lambda: 0.0) for _ in range(3))
    here.ran("id", 7)
    before.ran("id", 6)
    assert [is_handed_over(Standing(*HELD), one) for one in (here, coming, before)] == [True, False, False]
    for other in ((libvirt.VIR_DOMAIN_RUNNING, 1), (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_USER)):
        assert not is_handed_over(Standing(*other), here)


class OnlyTheSourceSays(libvirt.libvirtError):
    def get_error_code(self):
        return libvirt.VIR_ERR_OPERATION_INVALID


def test_one_that_stands_still_for_a_migration_that_is_over_is_stranded():
    clock = HandClock()
    here, afresh = Lives(clock.monotonic), Lives(clock.monotonic)
    here.ran("id", 7)
    seen = [is_stranded(Standing(*HELD), lives) for lives in (here, afresh)]
    clock.pass_s(STRANDED_SECONDS - 0.1)
    seen.append(is_stranded(Standing(*HELD), here))
    assert not any(seen), "it is being handed over, and nobody asks meanwhile"
    clock.pass_s(0.1)
    assert is_stranded(Standing(*HELD), here)
    assert is_stranded(Standing(*HELD, ended=OUT), afresh)
    restored = libvirt.VIR_DOMAIN_JOB_OPERATION_RESTORE
    assert not any(is_stranded(Standing(*HELD, ended=one), afresh) for one in (None, restored))
    for job in (OUT, OnlyTheSourceSays("it comes here")):
        assert not any(is_stranded(Standing(*HELD, job=job, ended=OUT), lives) for lives in (here, afresh))
    for other in ((libvirt.VIR_DOMAIN_RUNNING, 1), (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_USER)):
        assert not is_stranded(Standing(*other, ended=OUT), here)


def test_how_long_it_stands_still_is_counted_anew_once_it_went_on_or_began_another_life():
    clock = HandClock()
    lives = Lives(clock.monotonic)

    def later(seconds, life):
        clock.pass_s(seconds)
        return lives.stands_still("id", life)

    assert [later(0, 7), later(7, 7)] == [0.0, 7.0]
    lives.goes_on("id")
    assert [later(13, 7), later(10, 8), later(5, 8)] == [0.0, 0.0, 5.0]


async def test_what_stands_here_for_a_domain_answers_as_one(world):
    ended = libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED | libvirt.VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED
    await do(world, "host1", Define(web(), WEB_PORTS), START)
    with world.connected("host1") as connection:
        real = connection.lookupByName("web")
        ours = Standing(libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_UNPAUSED)
        said = [[one.state(), one.jobStats(), one.jobStats(ended)] for one in (ours, real)]
    assert said[0] == said[1]


async def test_what_to_do_with_a_stranded_machine_is_told_by_its_names(world):
    await do(world, "host1", Define(web(), WEB_PORTS), START)
    clock = HandClock()
    with world.connected("host1") as connection:
        host = Host(connection, world.settings("host1"), Platform(), world.new_id, Lives(clock.monotonic))
        (runs,) = facts_of(host, {}, []).machines
        left = msgspec.structs.replace(host, connection=Left(connection))
        (hands_over,) = facts_of(left, {}, []).machines
        clock.pass_s(STRANDED_SECONDS)
        (mine,) = facts_of(left, {}, []).machines
        with pytest.raises(HypervisorFailure, match="it stands paused for a migration before"):
            migrate(left, Migrate("web", "host2"))
    told = [(one.power, one.migrating, one.stranded) for one in (runs, hands_over)]
    assert told == [("Running", False, ""), ("Running", True, "")]
    assert (mine.power, mine.migrating) == ("Running", True)
    assert "on host1, `virsh resume web` if it does not, `virsh destroy web` if it does" in mine.stranded
