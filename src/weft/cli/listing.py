"""Prints resources of one kind in whatever form was asked for. Called by get, nic and vm."""

from collections.abc import Sequence
from typing import Any

from weft.cli import columns, show
from weft.cli.show import Format
from weft.model.kinds import Kind


def one(kind: Kind, resource: Any, output: Format) -> None:
    """A resource by itself: as JSON an object, not a list."""
    if output is Format.json:
        show.as_json(resource)
    else:
        several(kind, [resource], output)


def several(kind: Kind, resources: Sequence[Any], output: Format) -> None:
    """Any number of them, in this order."""
    if output is Format.json:
        show.as_json(resources)
    elif output is Format.yaml:
        show.as_yaml({"kind": kind.name, **resource} for resource in resources)
    elif output is Format.name:
        for resource in resources:
            print(resource["resourceId"])
    else:
        show.table(*columns.table_of(kind, resources))
