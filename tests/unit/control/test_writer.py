"""The writer: groups, refusals alone, failed commits undone, one answer per request id, the ledger's time."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.control import ANN, FailingStore, HandClock, fill, interface, open_in, put
from weft.control.controller import Controller
from weft.core.changes import CursorChange
from weft.core.commands import Actor, Batch, Decision, Delete, EndCoolDowns
from weft.core.commands import Path as Name
from weft.core.state import State
from weft.model.errors import AddressInUse, Refusal, StoreUnavailable
from weft.model.fabric import MacPoolProperties
from weft.store.store import Answer


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def controller(tmp_path: Path, clock: HandClock) -> Iterator[Controller]:
    opened = open_in(tmp_path, clock)
    yield opened
    opened.close()


def reopened(controller: Controller, folder: Path) -> State:
    """What a fresh controller would know; the running one keeps the lock, so read through its store."""
    return State.load(controller._store.load())


def fill_disk(controller: Controller, full: bool) -> None:
    connection = controller._store._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages if full else 1_000_000}")


def wide(name: str) -> object:
    """A command whose row needs new pages."""
    command = interface(name)
    document = command.document
    return type(command)(
        command.path, type(document)(resource_id=name, tags={"t": "x" * 30_000}, properties=document.properties)
    )


async def test_what_waits_becomes_one_revision(controller: Controller) -> None:
    await fill(controller)
    before = controller.state.revision
    answers = await asyncio.gather(*(controller.submit(interface(f"n{n}"), ANN) for n in range(20)))
    assert {one.revision for one in answers} == {before + 1}
    assert len({one.decision.resource.properties.private_mac_address for one in answers}) == 20
    assert reopened(controller, Path()) == controller.state


async def test_what_comes_turn_after_turn_is_gathered(controller: Controller) -> None:
    await fill(controller)
    before = controller.state.revision

    async def late(turns: int) -> int:
        for _ in range(turns):
            await asyncio.sleep(0)
        return (await controller.submit(interface(f"n{turns}"), ANN)).revision

    assert set(await asyncio.gather(*(late(turns) for turns in range(10)))) == {before + 1}


async def test_the_log_has_one_step_per_cursor(controller: Controller) -> None:
    await fill(controller, interface("a"))
    before = dict(controller.state.cursors)
    await asyncio.gather(*(controller.submit(interface(f"n{n}"), ANN) for n in range(20)))
    [commit] = controller._store.log(controller.state.revision - 1)
    steps = [change for change in commit.changes if isinstance(change, CursorChange)]
    assert {step.pool: step.before for step in steps} == {step.pool: before[step.pool] for step in steps}
    assert {step.pool: step.after for step in steps}.items() <= controller.state.cursors.items()
    assert len(steps) == 2


async def test_a_refused_command_refuses_alone(controller: Controller) -> None:
    await fill(controller)
    results = await asyncio.gather(
        controller.submit(interface("a"), ANN),
        controller.submit(interface("b", subnet="/virtualNetworks/blue/subnets/none"), ANN),
        controller.submit(interface("c"), ANN),
        return_exceptions=True,
    )
    assert [isinstance(one, Refusal) for one in results] == [False, True, False]
    assert controller.state.get("networkInterfaces", "b") is None
    assert reopened(controller, Path()) == controller.state


async def test_a_refused_address_is_history_with_the_batch_or_alone(controller: Controller) -> None:
    await fill(controller, interface("a", address="10.1.1.9"))
    blue, nine = "ip4/virtualnetworks/blue", int.from_bytes(bytes((10, 1, 1, 9)), "big")
    revision = controller.state.revision
    results = await asyncio.gather(
        *(controller.submit(interface("b", address="10.1.1.9"), Actor("bob")) for _ in range(3)),
        controller.submit(interface("c"), ANN),
        return_exceptions=True,
    )
    assert [type(one) for one in results[:3]] == [AddressInUse] * 3
    assert results[3].revision == revision + 1
    batch = Batch((interface("e"), interface("d", address="10.1.1.9")))
    for refused in (interface("d", address="10.1.1.9"), batch):
        with pytest.raises(AddressInUse):
            await controller.submit(refused, ANN)
    with pytest.raises(AddressInUse):
        controller.dry_run(interface("x", address="10.1.1.9"))
    assert controller.state.revision == revision + 1
    assert [
        (row.event, row.holder, row.actor, row.reason, row.times, row.revision)
        for row in controller.history(blue, nine)[1:]
    ] == [
        ("refused", "/networkInterfaces/b", "bob", "PrivateIPAddressInUse", 3, revision + 1),
        ("refused", "/networkInterfaces/d", "ann", "PrivateIPAddressInUse", 2, revision + 1),
    ]
    assert reopened(controller, Path()) == controller.state


async def test_a_refusal_on_what_the_disk_did_not_take_is_none(controller: Controller) -> None:
    await fill(controller, interface("a", address="10.1.1.9"))
    store = FailingStore(controller._store)
    controller.writer._store, store.fails = store, True
    with pytest.raises(AddressInUse):
        await controller.submit(interface("b", address="10.1.1.9"), ANN)
    assert controller.not_ready()
    results = await asyncio.gather(
        controller.submit(interface("c", address="10.1.1.10"), ANN),
        controller.submit(interface("d", address="10.1.1.10"), ANN),
        return_exceptions=True,
    )
    assert [type(one) for one in results] == [StoreUnavailable] * 2


async def test_a_failed_commit_refuses_the_batch_and_leaves_the_state_as_it_was(controller: Controller) -> None:
    await fill(controller, interface("old"))
    before, revision = reopened(controller, Path()), controller.state.revision
    fill_disk(controller, True)

    def encode(decision: Decision) -> Answer:
        return Answer("r", 201, b"made")

    results = await asyncio.gather(
        controller.submit(wide("a"), ANN),
        controller.submit(Delete(Name("networkInterfaces", "old")), ANN),
        controller.submit(interface("b"), ANN, "r", encode),
        controller.submit(interface("b"), ANN, "r", encode),
        return_exceptions=True,
    )
    assert [type(one) for one in results] == [StoreUnavailable] * 4
    assert controller.state == before
    assert controller.state.revision == revision
    assert controller.not_ready()
    fill_disk(controller, False)
    answer = await controller.submit(interface("b"), ANN, "r", encode)
    assert (answer.revision, answer.decision is not None, controller.not_ready()) == (revision + 1, True, "")
    assert reopened(controller, Path()) == controller.state


async def test_a_fault_of_ours_hits_its_caller_alone(controller: Controller) -> None:
    await fill(controller)

    def broken(decision: Decision) -> Answer:
        raise RuntimeError("the encoder broke")

    results = await asyncio.gather(
        controller.submit(interface("a"), ANN, "r", broken),
        controller.submit(interface("b"), ANN),
        return_exceptions=True,
    )
    assert isinstance(results[0], RuntimeError)
    assert controller.state.get("networkInterfaces", "a") is None
    assert controller.state.get("networkInterfaces", "b") is not None
    assert reopened(controller, Path()) == controller.state


async def test_a_request_id_has_one_answer(controller: Controller) -> None:
    await fill(controller)
    made: list[Decision] = []

    def encode(decision: Decision) -> Answer:
        made.append(decision)
        return Answer("r1", 201, decision.resource.properties.private_mac_address.encode())

    # copies in one batch, and one later
    first, second = await asyncio.gather(*(controller.submit(interface("a"), ANN, "r1", encode) for _ in range(2)))
    third = await controller.submit(interface("a"), ANN, "r1", encode)
    assert first.answer == second.answer == third.answer
    assert first.decision is not None
    assert (second.decision, third.decision, len(made)) == (None, None, 1)


async def test_a_refusal_is_decided_anew_for_the_same_request_id(controller: Controller) -> None:
    def encode(decision: Decision) -> Answer:
        return Answer("r1", 201, b"made")

    with pytest.raises(Refusal):
        await controller.submit(interface("a"), ANN, "r1", encode)
    await fill(controller)
    assert (await controller.submit(interface("a"), ANN, "r1", encode)).decision is not None


async def test_an_unchanged_command_takes_no_revision_but_keeps_its_answer(controller: Controller) -> None:
    await fill(controller, interface("a"))
    revision = controller.state.revision
    document = controller.state.get("networkInterfaces", "a")
    again = put("networkInterfaces", "a", document.properties)
    submitted = await controller.submit(again, ANN, "r9", lambda decision: Answer("r9", 200, b"same"))
    if submitted.decision.outcome == "unchanged":
        assert controller.state.revision == revision
    repeated = await controller.submit(again, ANN, "r9", lambda decision: Answer("r9", 500, b""))
    assert repeated.answer == Answer("r9", 200, b"same")


async def test_a_dry_run_changes_nothing(controller: Controller) -> None:
    await fill(controller)
    before = reopened(controller, Path())
    decision = controller.dry_run(Batch((interface("a"), interface("b"))))
    assert len(decision.parts) == 2
    assert controller.state == before


async def test_whoever_goes_away_before_the_batch_is_not_served(controller: Controller) -> None:
    await fill(controller)
    task = asyncio.create_task(controller.submit(interface("a"), ANN))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await controller.submit(interface("b"), ANN)
    assert controller.state.get("networkInterfaces", "a") is None


async def test_history_names_who_did_it(controller: Controller) -> None:
    await fill(controller)
    both = await asyncio.gather(
        controller.submit(interface("a"), Actor("bob")), controller.submit(interface("b"), Actor("eve"))
    )
    for submitted, actor in zip(both, ("bob", "eve"), strict=True):
        mac = int(submitted.decision.resource.properties.private_mac_address, 16)
        assert [row.actor for row in controller.history("mac", mac)] == [actor]


async def test_the_ledgers_time_goes_on_after_a_restart_and_ignores_the_wall(tmp_path: Path) -> None:
    clock = HandClock(monotonic=5000.0)
    first = open_in(tmp_path, clock)
    clock.pass_s(30)
    await first.submit(put("macPools", "p", _pool()), ANN)
    clock.pass_s(4)
    clock.set_wall(0.0)
    assert first.now().ledger == 34
    first.close()
    later = HandClock(monotonic=7.0, wall=1e10)
    second = open_in(tmp_path, later)
    assert second.now().ledger == 30
    later.pass_s(1)
    assert second.now().ledger == 31
    second.close()


async def test_idle_time_is_kept_without_a_revision(tmp_path: Path) -> None:
    clock = HandClock()
    first = open_in(tmp_path, clock)
    clock.pass_s(9)
    first.writer.keep_time(10.0)
    assert first._store.load().ledger == 0
    clock.pass_s(2)
    first.writer.keep_time(10.0)
    first.close()
    second = open_in(tmp_path)
    assert (second.now().ledger, second.state.revision) == (11, 0)
    second.close()


async def test_cool_downs_end_by_the_clockwork(controller: Controller, clock: HandClock) -> None:
    await fill(controller, interface("a"))
    mac = int(controller.state.get("networkInterfaces", "a").properties.private_mac_address, 16)
    await controller.submit(Delete(Name("networkInterfaces", "a")), ANN)
    clock.pass_s(3599)
    await controller._clockwork.tick()
    assert controller.state.lease("mac", mac).state == "cooling"
    clock.pass_s(2)
    await controller._clockwork.tick()
    assert controller.state.lease("mac", mac) is None
    revision = controller.state.revision
    await controller.submit(EndCoolDowns(), ANN)
    assert controller.state.revision == revision


async def test_one_tick_ends_every_cool_down_that_is_due(
    controller: Controller, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weft.control.clockwork.EndCoolDowns", lambda: EndCoolDowns(limit=1))
    await fill(controller, interface("a"), interface("b"))
    for name in ("a", "b"):
        await controller.submit(Delete(Name("networkInterfaces", name)), ANN)
    assert controller.state.cooling_ends() is not None
    clock.pass_s(3601)
    await controller._clockwork.tick()
    assert controller.state.cooling_ends() is None


def _pool() -> MacPoolProperties:
    return MacPoolProperties(start_mac_address="00-1D-D8-B7-1C-00", end_mac_address="00-1D-D8-B7-1C-FF")


async def test_a_long_queue_is_cut_into_batches(controller: Controller, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(controller)
    monkeypatch.setattr("weft.control.writer.MAX_BATCH", 8)
    before = controller.state.revision
    await asyncio.gather(*(controller.submit(interface(f"n{n}"), ANN) for n in range(20)))
    assert controller.state.revision == before + 3
    assert len(list(controller.state.all("networkInterfaces"))) == 20
