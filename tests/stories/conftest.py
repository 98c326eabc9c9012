"""One fresh cluster per story."""

from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import pytest_asyncio

from tests.stories.desk import Desk


@pytest_asyncio.fixture
async def desk() -> AsyncIterator[Desk]:
    # a path of its own, since a unix socket's may have 107 bytes
    with TemporaryDirectory(prefix="weft-") as folder:
        made = Desk(Path(folder))
        await made.open()
        try:
            yield made
        finally:
            await made.close()


@pytest.fixture
def asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of the provider network every few seconds."""
    monkeypatch.setattr("weft.agent.claims.AGAIN_SECONDS", 0.05)
    monkeypatch.setattr("weft.agent.provider_keeper.LOOK_SECONDS", 0.05)
