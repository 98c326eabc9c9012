"""What counts as encrypted follows the driver: when that does not say so nothing is, whatever is wrong with it."""

import asyncio
import contextlib

import pytest

from tests.unit.agent.beside import beside
from tests.waiting import soon
from weft.agent.encryption import EncryptionFailure, Pair
from weft.agent.encryption_keeper import EncryptionKeeper
from weft.fakes.encryption import Ipsec
from weft.model.values import pack_ip

ONE, TWO, THREE = (pack_ip(f"192.168.1.{number}") for number in (1, 2, 3))
THERE, BACK, OTHER = Pair(ONE, TWO), Pair(TWO, ONE), Pair(ONE, THREE)


class Broken:
    """A driver that fails in a way of its own from some time on; `raises` None: it never ends."""

    def __init__(self, driver):
        self.fails, self.raises = False, None
        self._driver = driver

    async def why_not(self):
        return await self._driver.why_not()

    async def keep(self, pairs):
        if not self.fails:
            return await self._driver.keep(pairs)
        if self.raises is None:
            await asyncio.Event().wait()
        raise self.raises


@contextlib.asynccontextmanager
async def kept():
    world = Ipsec()
    driver = Broken(world.host("one"))
    await world.host("two").keep(frozenset({BACK}))
    keeper = EncryptionKeeper(driver, lambda: None, patience_s=0.05)
    async with beside(keeper.run()) as (running,):
        keeper.want(frozenset({THERE}))
        await soon(lambda: keeper.sealed == {THERE})
        yield driver, keeper
        assert not running.done()


@pytest.mark.parametrize(
    ("raises", "words"),
    [
        (EncryptionFailure("charon does not answer"), "charon does not answer"),
        (ConnectionResetError("Connection reset by peer"), "its driver failed: ConnectionResetError: Connection reset"),
        (KeyError("weft-1"), "its driver failed: KeyError"),
        (None, "its driver does not answer within 0.05 s"),
    ],
)
async def test_nothing_is_encrypted_while_its_driver_fails_and_again_afterwards(raises, words):
    async with kept() as (driver, keeper):
        driver.fails, driver.raises = True, raises
        keeper.want(frozenset({THERE, OTHER}))
        await soon(lambda: keeper.sealed == frozenset())
        assert keeper.in_clear == (THERE, OTHER) and words in keeper.words()[0]
        driver.fails = False
        keeper.want(frozenset({THERE}))
        await soon(lambda: keeper.sealed == {THERE})
        assert keeper.words() == []
