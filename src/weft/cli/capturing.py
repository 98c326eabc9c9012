"""`weft capture`: the packets of an interface, copied where they come by, into a pcap file."""

import sys
from collections.abc import Iterator
from contextlib import aclosing, nullcontext
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from weft.cli import show
from weft.cli.desk import EPILOG, Controller, Misuse, run
from weft.cli.names import interface_ref, last_of
from weft.wire.client import Client

app = typer.Typer()

_RECORD = 16
_NOTE = bytes(12) + b"\x88\xb5weft: "
"""How the frames begin in which a capture says what it has passed over; see docs/api.md."""


@app.command("capture", epilog=EPILOG)
def capture(
    ctx: typer.Context,
    interface: Annotated[str, typer.Argument(metavar="INTERFACE", help="Whose packets.")],
    write: Annotated[
        str, typer.Option("-w", "--write", metavar="FILE", help="A pcap file; - for standard output.")
    ] = "-",
    count: Annotated[int, typer.Option("-c", "--count", min=0, help="Stop after so many packets; 0: never.")] = 0,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, max=3600, help="Stop after so long.")] = 60.0,
    snap: Annotated[int, typer.Option("--snap", min=64, max=65535, help="So many bytes of each packet.")] = 65535,
    words: Annotated[
        str, typer.Option("--filter", metavar="WORDS", help="'arp', 'tcp and port 80', 'not host 10.1.1.12'.")
    ] = "",
    host: Annotated[str, typer.Option("--host", metavar="HOST", help="While it moves: which of both hosts.")] = "",
    controller: Controller = "",
) -> None:
    """Copy an interface's packets, where its host's switch takes them from its machine and gives them to it.

    \b
    weft capture web1-eth0 -w web1.pcap -c 100
    weft capture web1-eth0 --filter 'tcp and port 443' | tcpdump -nr -
    """
    query = {"interface": last_of(interface_ref(interface)), "seconds": f"{seconds:g}", "snap": str(snap)}
    query |= {name: value for name, value in (("filter", words), ("server", last_of(host))) if value}
    query |= {"packets": str(count)} if count else {}

    async def work(client: Client) -> None:
        if write == "-" and sys.stdout.isatty():
            raise Misuse("a pcap file is nothing to look at: name one with -w FILE, or pipe it to tcpdump -nr -")
        counted = Counted()
        try:
            async with aclosing(client.capture(query)) as pieces:
                first = await anext(pieces, b"")
                with _open(write) as file:
                    _put(file, first, counted)
                    async for piece in pieces:
                        _put(file, piece, counted)
        finally:
            if counted.has_begun:
                show.say(f"{counted.packets} packets captured")

    run(ctx, controller, work)


def _open(name: str) -> "nullcontext[BinaryIO] | BinaryIO":
    if name == "-":
        return nullcontext(sys.stdout.buffer)
    try:
        return Path(name).open("wb")
    except OSError as error:
        raise Misuse(f"-w {name}: {error.strerror}; name a file that can be written") from error


def _put(file: BinaryIO, piece: bytes, counted: "Counted") -> None:
    file.write(piece)
    file.flush()
    for text in counted.take(piece):
        show.say(text)


class Counted:
    """Counts the packets of a pcap file that comes in pieces of any size."""

    def __init__(self) -> None:
        self.packets = 0
        self._left = b""
        self._skip = 24
        """Bytes of the file's header that are still to come."""

    @property
    def has_begun(self) -> bool:
        return not self._skip

    def take(self, piece: bytes) -> Iterator[str]:
        """What the capture says in it."""
        skipped = min(self._skip, len(piece))
        self._skip -= skipped
        left = self._left + piece[skipped:]
        at = 0
        while len(left) >= at + _RECORD:
            end = at + _RECORD + int.from_bytes(left[at + 8 : at + 12], "little")
            if len(left) < end:
                break
            packet = left[at + _RECORD : end]
            if packet.startswith(_NOTE):
                yield show.clean(packet[14:].decode("ascii", "replace"))
            else:
                self.packets += 1
            at = end
        self._left = left[at:]
