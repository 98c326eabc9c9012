"""Files of the fake hosts: paths of Windows, without case. Shares and cluster volumes are seen by several hosts."""

from collections.abc import Iterator

import msgspec


class File(msgspec.Struct):
    """`content` is what the file means: an ExportFile, text, or nothing. A folder has no size."""

    path: str
    folder: bool = False
    size: int = 0
    """Of a disk: what it can hold."""
    parent: str = ""
    """Of a differencing disk."""
    content: object = None


class Files:
    """One host's view: its own disks, and what it shares."""

    def __init__(self, shared: "Files | None" = None) -> None:
        self._files: dict[str, File] = {}
        self._shared = shared

    def get(self, path: str) -> File | None:
        return self._place(path).get(_key(path))

    def put(self, file: File) -> File:
        """With the folders above it."""
        parent = parent_of(file.path)
        if parent and self.get(parent) is None:
            self.put(File(parent, folder=True))
        self._place(file.path)[_key(file.path)] = file
        return file

    def remove(self, path: str) -> None:
        """With all below it."""
        place = self._place(path)
        for key in [key for key in place if key == _key(path) or key.startswith(_key(path) + "\\")]:
            del place[key]

    def below(self, path: str) -> Iterator[File]:
        """All that is under a folder, at any depth."""
        start = _key(path) + "\\"
        return iter([file for key, file in self._place(path).items() if key.startswith(start)])

    def children(self, path: str) -> Iterator[File]:
        return (file for file in self.below(path) if _key(parent_of(file.path)) == _key(path))

    def _place(self, path: str) -> dict[str, File]:
        if self._shared is not None and is_shared(path):
            return self._shared._files
        return self._files


def is_shared(path: str) -> bool:
    r"""\\server\share and C:\ClusterStorage."""
    return path.startswith("\\\\") or "\\clusterstorage\\" in _key(path) + "\\"


def parent_of(path: str) -> str:
    head = path.replace("/", "\\").rstrip("\\").rpartition("\\")[0]
    return "" if not head.strip("\\") or head.endswith(":") else head


def leaf_of(path: str) -> str:
    return path.replace("/", "\\").rstrip("\\").rpartition("\\")[2]


def joined(folder: str, *names: str) -> str:
    return "\\".join((folder.rstrip("\\"), *names))


def _key(path: str) -> str:
    return path.replace("/", "\\").rstrip("\\").lower()
