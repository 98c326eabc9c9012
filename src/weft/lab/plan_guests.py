"""`kind: lab/guest` of a lab file, read and checked. Pure. Called by weft.lab.plan."""

from weft.cli.documents import Documents
from weft.cli.faults import Fault


def asking(documents: Documents, faults: list[Fault]) -> tuple[str, ...]:
    """Machines, in lower case, of which the file says `dhcp: true`; a fault for each thing that is wrong."""
    machines = {one.id.lower() for one in documents.resources if one.kind.name == "virtualMachines"}
    found: set[str] = set()
    for doc in documents.lab:
        if doc.kind != "lab/guest":
            continue
        said = {name.lower(): value for name, value in doc.properties.items()}
        wrong = [f"unknown member {name}; write dhcp: true" for name in doc.properties if name.lower() != "dhcp"]
        if doc.id.lower() not in machines:
            wrong.append("the file has no virtualMachines of that name; name a machine of the file")
        if not isinstance(said.get("dhcp", False), bool):
            wrong.append(f"dhcp is '{said['dhcp']}'; write true or false")
        faults += [Fault(doc.file, doc.line, f"lab/guest {doc.id}: {one}") for one in wrong]
        if said.get("dhcp") is True:
            found.add(doc.id.lower())
    return tuple(sorted(found))
