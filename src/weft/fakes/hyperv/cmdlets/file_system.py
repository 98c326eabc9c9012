"""Test-Path, Get-Item, Get-ChildItem, New-Item, Get-Content, Copy-Item, Move-Item, Remove-Item on the fake's files."""

from collections.abc import Iterator

from weft.fakes.hyperv.cmdlets import objects
from weft.fakes.hyperv.cmdlets.spec import Spec, text
from weft.fakes.hyperv.files import File, joined, leaf_of
from weft.fakes.hyperv.host import FakeHost, HyperVError
from weft.fakes.hyperv.powershell.errors import NotUnderstood
from weft.fakes.hyperv.powershell.session import Call
from weft.fakes.hyperv.powershell.values import Record


def _paths(call: Call) -> list[str]:
    """-Path takes patterns, which the fake does not know; -LiteralPath takes names with [ and ] as they are."""
    if call.has("LiteralPath"):
        return call.texts("LiteralPath")
    for each in call.texts("Path"):
        if any(mark in each for mark in "*?["):
            raise NotUnderstood(f"the pattern {each} of -Path: use -LiteralPath")
    return call.texts("Path")


def _there(host: FakeHost, path: str) -> File:
    file = host.files.get(path)
    if file is None:
        raise HyperVError(
            f"Cannot find path '{path}' because it does not exist.", id="PathNotFound", category="ObjectNotFound"
        )
    return file


def _shown(file: File) -> Record:
    return objects.file(file.path, folder=file.folder, name=leaf_of(file.path), size=file.size)


def _test(host: FakeHost, call: Call) -> Iterator[bool]:
    kind = text(call, "PathType", "Any").lower()
    for path in _paths(call):
        file = host.files.get(path)
        yield file is not None and (kind == "any" or file.folder == (kind == "container"))


def _get(host: FakeHost, call: Call) -> Iterator[Record]:
    for path in _paths(call):
        yield _shown(_there(host, path))


def _children(host: FakeHost, call: Call) -> Iterator[Record]:
    for path in _paths(call):
        _there(host, path)
        found = host.files.below(path) if call.get("Recurse", False) else host.files.children(path)
        for file in found:
            if not (call.get("File", False) and file.folder or call.get("Directory", False) and not file.folder):
                yield _shown(file)


def _new(host: FakeHost, call: Call) -> Iterator[Record]:
    for path in call.texts("Path"):
        path = joined(path, text(call, "Name")) if call.has("Name") else path
        folder = text(call, "ItemType").lower() == "directory"
        old = host.files.get(path)
        if old is not None and not (folder and call.get("Force", False)):
            raise HyperVError(f"An item with the specified name {path} already exists.", id="DirectoryExist")
        yield _shown(old or host.files.put(File(path, folder=folder, content=call.get("Value"))))


def _content(host: FakeHost, call: Call) -> Iterator[str]:
    """Of files whose text the fake has: those that New-Item made."""
    if not call.get("Raw", False):
        raise NotUnderstood("Get-Content without -Raw, line by line")
    for path in _paths(call):
        file = _there(host, path)
        if not isinstance(file.content, str):
            raise NotUnderstood(f"the content of {path}")
        yield file.content


def _copy(host: FakeHost, call: Call) -> Iterator[Record]:
    target = text(call, "Destination")
    for path in _paths(call):
        file = _there(host, path)
        if file.folder:
            raise NotUnderstood("copying a folder")
        if (held := host.files.get(target)) is not None and held.folder:
            target = joined(target, leaf_of(path))
        new = host.files.put(File(target, size=file.size, parent=file.parent, content=file.content))
        if call.get("PassThru", False):
            yield _shown(new)


def _move(host: FakeHost, call: Call) -> Iterator[Record]:
    yield from _copy(host, call)
    for path in _paths(call):
        host.files.remove(path)


def _remove(host: FakeHost, call: Call) -> Iterator[Record]:
    for path in _paths(call):
        file = _there(host, path)
        if file.folder and any(True for _ in host.files.below(path)) and not call.get("Recurse", False):
            raise HyperVError(
                f"The item at {path} has children and the Recurse parameter was not specified, and nobody is there to "
                "answer.",
                id="PSInvalidOperation",
                category="InvalidOperation",
            )
        for vm in host.vms:
            if vm.power != "Off" and any(disk.path.lower() == file.path.lower() for disk in vm.settings.disks):
                raise HyperVError(
                    f"Cannot remove item {path}: The process cannot access the file because it is being used by "
                    "another process.",
                    id="RemoveFileSystemItemIOError",
                    category="WriteError",
                )
        host.files.remove(path)
    yield from ()


FILES = (
    Spec("Test-Path", _test, "@Path LiteralPath PathType"),
    Spec("Get-Item", _get, "@Path LiteralPath Force"),
    Spec("Get-ChildItem", _children, "@Path LiteralPath Recurse File Directory Force"),
    Spec("New-Item", _new, "@Path! Name ItemType Value Force"),
    Spec("Get-Content", _content, "@Path LiteralPath Raw"),
    Spec("Copy-Item", _copy, "@Path LiteralPath @Destination! Force PassThru"),
    Spec("Move-Item", _move, "@Path LiteralPath @Destination! Force PassThru"),
    Spec("Remove-Item", _remove, "@Path LiteralPath Recurse Force"),
)
