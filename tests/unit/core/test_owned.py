"""What is named below an owner is found without a scan, and forgotten with it."""

from weft.core.changes import ResourceChange
from weft.core.state import State
from weft.model.kinds import owned_id
from weft.model.resources import AnyResource, Resource
from weft.model.workload import CaptureProperties


def capture(machine: str, name: str) -> AnyResource:
    own = owned_id(machine, name)
    return Resource(resource_id=own, instance_id=own, etag=own, properties=CaptureProperties())


def made(kind: str, resource: AnyResource) -> ResourceChange:
    return ResourceChange(kind, resource.resource_id.lower(), None, resource)


def test_captures_are_found_by_their_machine() -> None:
    state, empty = State(), State()
    second, first, other = capture("Web1", "B"), capture("web1", "a"), capture("web2", "a")
    changes = [made("checkpoints", second), made("checkpoints", first), made("checkpoints", other)]
    changes.append(made("exports", capture("web1", "e")))
    for change in changes:
        state.apply(change)
    assert state.owned("checkpoints", "WEB1") == [first, second]
    assert [each.resource_id for each in state.owned("exports", "web1")] == ["web1~e"]
    assert state.owned("exports", "web2") == []
    for change in reversed(changes):
        state.revert(change)
    assert state.owned("checkpoints", "web1") == []
    assert state == empty
