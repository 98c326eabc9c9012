"""Get-WinEvent by a hashtable of log, id and time."""

from collections.abc import Iterator
from typing import Any

from weft.fakes.hyperv.cmdlets.spec import Spec, listed, number, refused
from weft.fakes.hyperv.event_log import SYSTEM, WORKER_ADMIN, Event
from weft.fakes.hyperv.host import FakeHost, HyperVError
from weft.fakes.hyperv.powershell.conversion import as_text, cast
from weft.fakes.hyperv.powershell.errors import NotUnderstood
from weft.fakes.hyperv.powershell.session import Call
from weft.fakes.hyperv.powershell.values import Moment, Record, Table

_LOGS = (WORKER_ADMIN, SYSTEM, "Microsoft-Windows-Hyper-V-VMMS-Admin", "Application")
_KEYS = ("logname", "id", "providername", "level", "starttime")


def _get(host: FakeHost, call: Call) -> Iterator[Record]:
    """Newest first, unless -Oldest."""
    wanted = call.get("FilterHashtable")
    if not isinstance(wanted, Table):
        raise NotUnderstood("Get-WinEvent without -FilterHashtable")
    for key in wanted.keys():
        if as_text(key).lower() not in _KEYS:
            raise NotUnderstood(f"the key {key} of -FilterHashtable")
    for log in _texts(wanted["LogName"]):
        if log.lower() not in [each.lower() for each in _LOGS]:
            raise HyperVError(
                f'There is not an event log on the {host.name} computer that matches "{log}".',
                id="NoMatchingLogsFound",
                category="ObjectNotFound",
            )
    found = [event for event in host.log.events if _fits(event, wanted)]
    if not found:
        raise HyperVError(
            "No events were found that match the specified selection criteria.",
            id="NoMatchingEventsFound",
            category="ObjectNotFound",
        )
    most = number(call, "MaxEvents", len(found))
    if most < 1:
        raise refused("Cannot validate argument on parameter 'MaxEvents'.")
    ordered = found if call.get("Oldest", False) else found[::-1]
    yield from (_shown(host, event) for event in ordered[:most])


def _texts(value: Any) -> list[str]:
    return [as_text(each) for each in listed(value)] if value is not None else []


def _fits(event: Event, wanted: Table) -> bool:
    logs = [each.lower() for each in _texts(wanted["LogName"])]
    providers = [each.lower() for each in _texts(wanted["ProviderName"])]
    start = wanted["StartTime"]
    if start is not None and not isinstance(start, Moment):
        raise NotUnderstood("StartTime that is no time")
    return (
        (not logs or event.log.lower() in logs)
        and (not providers or event.provider.lower() in providers)
        and ("Id" not in wanted or event.id in [cast("int", each) for each in listed(wanted["Id"])])
        and ("Level" not in wanted or event.level in [cast("int", each) for each in listed(wanted["Level"])])
        and (start is None or event.time >= start.seconds)
    )


def _shown(host: FakeHost, event: Event) -> Record:
    values = [Record({"Value": value}, "EventProperty") for _, value in event.values]
    return Record(
        {
            "RecordId": event.record,
            "LogName": event.log,
            "ProviderName": event.provider,
            "Id": event.id,
            "Level": event.level,
            "TimeCreated": Moment(event.time),
            "Message": event.message,
            "Properties": values,
            "MachineName": host.name,
        },
        "EventLogRecord",
        event,
    )


EVENTS = (Spec("Get-WinEvent", _get, "@LogName FilterHashtable MaxEvents Oldest"),)
