"""What checkpoints and exports have in common at the desk: each captures a machine, and is named below it.

Called by the commands of weft.cli.checkpoints and weft.cli.copies.
"""

import msgspec

from weft.cli import listing
from weft.cli.actions import Action, Ask, collection, print_answer, print_deleted
from weft.cli.confirm import confirm
from weft.cli.names import by_name, last_of
from weft.cli.show import Format
from weft.model.kinds import VIRTUAL_MACHINES, Kind
from weft.wire.client import Client


class Capture(msgspec.Struct, frozen=True):
    """One checkpoint or export of a machine, as it was named on the command line."""

    kind: Kind
    machine: str
    name: str

    @property
    def word(self) -> str:
        """checkpoint or export: the action that makes one, and what people call it."""
        return self.kind.name.removesuffix("s")

    @property
    def path(self) -> str:
        return f"{collection(self.machine, self.kind)}/{last_of(self.name)}"


async def take(client: Client, capture: Capture, ask: Ask, path: str = "") -> None:
    """Make it, and show what it holds. `path` is where the host exports it to."""
    body = {"resourceId": capture.name} | ({"path": path} if path else {})
    action = Action(capture.machine, capture.word, body)
    answer = (await client.post(action.path, action.body, ask.write)).body
    if not ask.dry_run:
        answer = await client.get(capture.path)
    print_answer(capture.kind, answer, ask)


async def show_all(client: Client, kind: Kind, machine: str, output: Format) -> None:
    """A machine's, the oldest first."""
    found = by_name(await client.list_all(collection(machine, kind)))
    listing.several(kind, sorted(found, key=lambda each: each["properties"].get("created") or ""), output)


async def delete(client: Client, capture: Capture, loss: str, yes: bool, ask: Ask) -> None:
    """Say what is lost with it, ask, and delete it. Raises NotConfirmed, Misuse."""
    found = await client.get(capture.path)
    own, machine = found["resourceId"], last_of(capture.machine)
    if not ask.dry_run:
        confirm(f"deletes {capture.word} {own} of {machine}: {loss}", yes)
    answer = await client.delete(capture.path, ask.write)
    print_deleted(f"{VIRTUAL_MACHINES.name}/{machine}/{capture.kind.name}/{own}", answer.body, ask)
