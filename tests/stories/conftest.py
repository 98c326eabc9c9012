"""One fresh cluster per story."""

from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

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
