"""The cmdlets of a failover cluster. On a host without one each says so."""

from collections.abc import Iterator

from weft.fakes.hyperv.cluster import FakeCluster, Role
from weft.fakes.hyperv.cmdlets.machines import passed
from weft.fakes.hyperv.cmdlets.spec import Spec, by_id, named, text
from weft.fakes.hyperv.host import FakeHost, HyperVError
from weft.fakes.hyperv.powershell.conversion import cast
from weft.fakes.hyperv.powershell.session import Call
from weft.fakes.hyperv.powershell.values import EnumValue, Record


def _cluster(host: FakeHost) -> FakeCluster:
    found = host.cluster
    if not isinstance(found, FakeCluster):
        raise HyperVError(
            "The cluster service is not running.  Make sure that the service is running on all nodes in the cluster.",
            id="Get-Cluster",
            category="ConnectionError",
        )
    return found


def _get(host: FakeHost, call: Call) -> Iterator[Record]:
    yield Record({"Name": _cluster(host).name}, "Cluster")


def _node(node: FakeHost) -> Record:
    state = EnumValue("Up", 0) if node.alive else EnumValue("Down", 1)
    return Record({"Name": node.name, "NodeName": node.name, "State": state}, "ClusterNode", node.name)


def _get_node(host: FakeHost, call: Call) -> Iterator[Record]:
    cluster, names = _cluster(host), call.texts("Name")
    for name in names:
        if cluster.node_named(name) is None:
            raise HyperVError(
                f"The cluster node '{name}' was not found.", id="Get-ClusterNode", category="ObjectNotFound"
            )
    for node in cluster.nodes:
        if not names or node.name.lower() in [each.lower() for each in names]:
            yield _node(node)


def _group(cluster: FakeCluster, role: Role) -> Record:
    owner = cluster.owner(role)
    state = EnumValue("Online", 0) if cluster.running(role) else EnumValue("Offline", 1)
    values = {
        "Name": role.name,
        "OwnerNode": _node(owner) if owner is not None else None,
        "State": state,
        "GroupType": EnumValue("VirtualMachine", 111),
    }
    return Record(values, "ClusterGroup", role)


def _chosen(host: FakeHost, call: Call) -> tuple[FakeCluster, list[Role]]:
    """All, or those that -Name, -VMId or -InputObject means."""
    cluster = _cluster(host)
    if call.has("InputObject"):
        return cluster, [call.get("InputObject").subject]
    if call.has("VMId"):
        wanted = cast("guid", call.get("VMId")).digits
        return cluster, [_found(cluster.role_of(wanted), wanted)]
    if call.has("Name"):
        return cluster, [_found(cluster.role_named(name), name) for name in call.texts("Name")]
    return cluster, list(cluster.roles)


def _found(role: Role | None, name: str) -> Role:
    if role is None:
        raise HyperVError(
            f"The cluster group '{name}' was not found.", id="Get-ClusterGroup", category="ObjectNotFound"
        )
    return role


def _get_group(host: FakeHost, call: Call) -> Iterator[Record]:
    cluster, roles = _chosen(host, call)
    yield from (_group(cluster, role) for role in roles)


def _get_resource(host: FakeHost, call: Call) -> Iterator[Record]:
    cluster, roles = _chosen(host, call)
    for role in roles:
        group = _group(cluster, role)
        kind = Record({"Name": "Virtual Machine"}, "ClusterResourceType")
        values = {"Name": f"Virtual Machine {role.name}", "OwnerGroup": group, "ResourceType": kind}
        yield Record(
            values | {"OwnerNode": group.get("OwnerNode"), "State": group.get("State")}, "ClusterResource", role
        )


def _add(host: FakeHost, call: Call) -> Iterator[Record]:
    cluster = _cluster(host)
    if call.has("VMId"):
        vm = by_id(host, call.get("VMId"))
    else:
        found = named(host, text(call, "VMName") or text(call, "VirtualMachine"))
        vm = found[0]
    yield _group(cluster, cluster.add(vm, text(call, "Name")))
    host.changed()


def _move(host: FakeHost, call: Call) -> Iterator[Record]:
    cluster, roles = _chosen(host, call)
    for role in roles:
        owner, node = cluster.owner(role), cluster.node_named(text(call, "Node"))
        if node is None or owner is None or not node.alive:
            raise HyperVError(
                f"The cluster node '{text(call, 'Node')}' was not found or is down.", category="ObjectNotFound"
            )
        vm = owner.vm(role.machine)
        if vm is not None and node is not owner:
            host.around.move(vm, owner, node)
        yield _group(cluster, role)


def _remove(host: FakeHost, call: Call) -> Iterator[Record]:
    """The role goes, the machine stays."""
    cluster, roles = _chosen(host, call)
    for role in roles:
        if not call.get("RemoveResources", False):
            raise HyperVError(f"The group '{role.name}' has resources and cannot be removed: use RemoveResources.")
        record = _group(cluster, role)
        cluster.remove(role)
        host.changed()
        yield from passed(call, record)


CLUSTERS = (
    Spec("Get-Cluster", _get),
    Spec("Get-ClusterNode", _get_node, "@Name"),
    Spec("Get-ClusterGroup", _get_group, "@Name VMId"),
    Spec("Get-ClusterResource", _get_resource, "@Name VMId"),
    Spec("Add-ClusterVirtualMachineRole", _add, "@Name VMName VirtualMachine VMId"),
    Spec("Move-ClusterVirtualMachineRole", _move, "@Name @Node! MigrationType VMId <InputObject Wait"),
    Spec("Remove-ClusterGroup", _remove, "@Name VMId Force RemoveResources <InputObject", asks=True),
)
