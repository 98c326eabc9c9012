"""A server as the feed knows it: what GET /weft/v1/servers/{id}/state answers and configurationState is made from."""

import msgspec

from weft.control.fact_tables import FactTables
from weft.control.publisher import Publisher
from weft.core.copy_commands import ImportMachine
from weft.wire.messages import Facts

RESUME_S = 10.0
"""After the controller began, hosts that it knows from before need some time to come back."""


class HostView(msgspec.Struct, frozen=True):
    """A snapshot. `managed`: its agent has connected at least once, now or before a restart."""

    server: str
    managed: bool
    connected: bool
    hypervisor: str
    applied_revision: int
    """Everything that this host needs, up to this revision, is applied."""
    lag: int
    """Revisions between the newest and `applied_revision`; 0 when in sync."""
    facts: Facts
    tables: FactTables
    returning: bool = False
    """Not back yet since the controller began, and not late either."""


_NOTHING = Facts()
_NONE = FactTables(_NOTHING)


def host_view(publisher: Publisher, server: str, newest: int, age_s: float) -> HostView:
    """Of any server id, also one that no agent ever connected for. `age_s` since the controller began."""
    key = server.lower()
    agent = publisher.managed.get(key)
    session = publisher.session(key)
    missing = publisher.missing(key)
    applied = newest if missing is None else missing - 1
    if agent is None:
        applied = 0
    return HostView(
        key,
        agent is not None,
        session is not None,
        "" if agent is None else agent.hypervisor,
        applied,
        newest - applied if agent is not None else 0,
        _NOTHING if session is None else session.facts,
        _NONE if session is None else session.tables,
        agent is not None and session is None and age_s < RESUME_S and key not in publisher.returned,
    )


def runs_there(publisher: Publisher, machine: ImportMachine) -> bool:
    """Whether the hypervisor of its server says of a machine that is taken in that it runs there."""
    session, known = publisher.session(machine.server.lower()), machine.hypervisor
    if session is None or known is None or not known.id:
        return False
    told = session.tables.states.get(known.id.lower())
    return told is not None and told.power == "Running"
