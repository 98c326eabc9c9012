"""What a machine can only take while it is off (another MAC address, other IP addresses), done to one that runs.

Called by weft.control.machines. The whole is decided dry before anything stops: off, the change, running again. From
then on a checkpoint of the present addresses stands for it: what fails goes back to that, and a controller that died
in the middle finds it at its start. So the machine ends as it was, or changed, and runs either way.
"""

import logging

from weft.control.power import Power
from weft.control.writer import Writer
from weft.core.commands import Actor, Decision, Delete, Path, RenewMac, SetPower
from weft.core.copy_commands import Restore, TakeCheckpoint
from weft.core.policy_places import server_of
from weft.model.errors import NotReady, Refusal, WeftError
from weft.model.kinds import CHECKPOINTS, OWN_NAMES, VIRTUAL_MACHINES, owner_and_name

log = logging.getLogger(__name__)

UNDER_WAY = f"{OWN_NAMES}restart-under-way"
"""Name of the checkpoint that lives from before the stop until the machine runs again."""


class Restarts:
    """One per controller."""

    def __init__(self, writer: Writer, power: Power) -> None:
        self._writer = writer
        self._power = power
        self.unfinished: set[str] = set()
        """Machines, lower case, that finish() is to be called for once no action on them is under way."""
        self._done: set[str] = set()
        """Those of them of which only the checkpoint is left."""

    def dry_run(self, command: Restore | RenewMac) -> Decision:
        """What the change would come to, with the machine off before it and running after it. Raises Refusal."""
        name = command.machine
        return self._writer.dry_run_all((SetPower(name, "Off"), command, SetPower(name, "Running")))[1]

    async def carry_out(self, command: Restore | RenewMac, actor: Actor) -> Decision:
        """Stop, change, start. Raises Refusal before anything has stopped; NotReady, StoreUnavailable: as it was."""
        name = command.machine
        self._power.check_reachable(server_of(self._power.machine(name)))
        self.dry_run(command)
        await self._writer.submit(TakeCheckpoint(name, UNDER_WAY), actor)
        # whatever ends this without taking the checkpoint away, somebody else goes on
        self.unfinished.add(name.lower())
        try:
            decision = await self._change(command, actor)
        except WeftError:
            await self._forget(name, actor)
            raise
        await self._forget(name, actor)
        return decision

    async def _change(self, command: Restore | RenewMac, actor: Actor) -> Decision:
        name = command.machine
        await self._power.set(name, "Off", actor)
        try:
            submitted = await self._writer.submit(command, actor)
        except WeftError:
            await self._start_again(name, actor)
            raise
        try:
            await self._power.set(name, "Running", actor)
        except WeftError as failure:
            await self._back(name, actor)
            raise NotReady(
                f"The machine '{name}' does not start with what was asked for: {failure}. It has its addresses of "
                "before and was started with them again."
            ) from failure
        assert submitted.decision is not None
        return submitted.decision

    async def _back(self, name: str, actor: Actor) -> None:
        await self._writer.submit(Restore(name, UNDER_WAY), actor)
        await self._start_again(name, actor)

    async def _try_back(self, name: str, actor: Actor) -> None:
        """What does not start now is not tried for ever: then it stays off."""
        try:
            await self._back(name, actor)
        except Refusal as refusal:
            log.warning("%s stays off: %s", name, refusal)

    async def _start_again(self, name: str, actor: Actor) -> None:
        try:
            await self._power.set(name, "Running", actor)
        except WeftError as failure:
            log.warning("%s was stopped to be changed and does not start again: %s", name, failure)
            raise NotReady(f"The machine '{name}' was stopped and does not start again: {failure}.") from failure

    async def _forget(self, name: str, actor: Actor) -> None:
        try:
            await self._writer.submit(
                Delete(Path(VIRTUAL_MACHINES.name, name, ((CHECKPOINTS.name, UNDER_WAY),))), actor
            )
        except WeftError as failure:
            log.warning("the checkpoint %s of %s stays for now: %s", UNDER_WAY, name, failure)
            self._done.add(name.lower())
            return
        self.unfinished.discard(name.lower())
        self._done.discard(name.lower())

    def look(self) -> None:
        """Find what a controller left in the middle of this; once, at the start."""
        found = (owner_and_name(one.resource_id) for one in self._writer.state.all(CHECKPOINTS.name))
        self.unfinished.update(owner.lower() for owner, name in found if name == UNDER_WAY)

    def may_finish(self, name: str) -> bool:
        """Is something left to finish, and has its host come back since the start?"""
        if self._writer.state.find(_marker(name)) is None:
            self.unfinished.discard(name)
            self._done.discard(name)
            return False
        try:
            self._power.check_reachable(server_of(self._power.machine(name)))
        except NotReady:
            return False
        return True

    async def finish(self, name: str, actor: Actor) -> None:
        """Take up what a crash interrupted: the machine runs again, with the new addresses or else with the old.

        Raises StoreUnavailable: then it is to be called again.
        """
        if name not in self._done and self._power.machine(name).properties.power_state == "Off":
            try:
                await self._power.set(name, "Running", actor)
            except Refusal as failure:
                log.warning("%s does not start with its new addresses, it gets the old ones back: %s", name, failure)
                await self._try_back(name, actor)
        await self._forget(name, actor)


def _marker(name: str) -> Path:
    return Path(VIRTUAL_MACHINES.name, name, ((CHECKPOINTS.name, UNDER_WAY),))
