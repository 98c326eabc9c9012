"""Shell completion of kinds and names. Silent and quick: without a controller it offers kinds and nothing else."""

import asyncio
import contextlib
import os
from collections.abc import Iterator
from typing import Any

import typer

from weft.cli.desk import Misuse, desk_of
from weft.cli.names import kind_of, target_of
from weft.model.errors import WeftError
from weft.model.kinds import KINDS
from weft.wire.client import DEFAULT_URL, Patience, path_of

_QUICK = Patience(tries=1, answer_s=1.0)


def kinds(ctx: typer.Context, incomplete: str) -> Iterator[str]:
    """Kinds; after a slash the names in it."""
    word, slash, name = incomplete.partition("/")
    if slash:
        yield from (f"{word}/{found}" for found in _of_kind(ctx, word, name))
        return
    yield from (kind.name for kind in KINDS if kind.name.lower().startswith(incomplete.lower()))


def names(ctx: typer.Context, incomplete: str) -> Iterator[str]:
    """Resources of the kind that stands before, children of --of too."""
    of = str(ctx.params.get("of") or "")
    if not of:
        return _of_kind(ctx, str(ctx.params.get("kind") or ""), incomplete)
    return _below(ctx, str(ctx.params.get("kind") or ""), of, incomplete)


def _below(ctx: typer.Context, word: str, of: str, incomplete: str) -> Iterator[str]:
    with contextlib.suppress(Misuse):
        yield from _named(ctx, target_of([word], of).ref.removeprefix("/weft"), incomplete)


def _of_kind(ctx: typer.Context, word: str, incomplete: str) -> Iterator[str]:
    with contextlib.suppress(Misuse):
        yield from _named(ctx, kind_of(word).name, incomplete)


def interfaces(ctx: typer.Context, incomplete: str) -> Iterator[str]:
    return _named(ctx, "networkInterfaces", incomplete)


def machines(ctx: typer.Context, incomplete: str) -> Iterator[str]:
    return _named(ctx, "virtualMachines", incomplete)


def servers(ctx: typer.Context, incomplete: str) -> Iterator[str]:
    return _named(ctx, "servers", incomplete)


def mac_pools(ctx: typer.Context, incomplete: str) -> Iterator[str]:
    return _named(ctx, "macPools", incomplete)


def pools(ctx: typer.Context, incomplete: str) -> Iterator[str]:
    """MAC pools, and subnets as blue/web."""
    yield from mac_pools(ctx, incomplete)
    yield from subnets(ctx, incomplete)


def reservations(ctx: typer.Context, incomplete: str) -> Iterator[str]:
    return _named(ctx, "reservations", incomplete)


def checkpoints(ctx: typer.Context, incomplete: str) -> Iterator[str]:
    """Those of the machine that stands before."""
    return _named(ctx, f"virtualMachines/{ctx.params.get('name')}/checkpoints", incomplete)


def exports(ctx: typer.Context, incomplete: str) -> Iterator[str]:
    """Those of the machine that stands before."""
    return _named(ctx, f"virtualMachines/{ctx.params.get('name')}/exports", incomplete)


def restorable(ctx: typer.Context, incomplete: str) -> Iterator[str]:
    """A machine; after it its checkpoints, but for --all-with, where machines follow."""
    words = list(ctx.params.get("words") or ())
    if not words or ctx.params.get("all_with"):
        return machines(ctx, incomplete)
    return _named(ctx, f"virtualMachines/{words[0]}/checkpoints", incomplete)


def subnets(ctx: typer.Context, incomplete: str) -> Iterator[str]:
    """As blue/web."""
    for network in _resources(ctx, "virtualNetworks"):
        for subnet in network["properties"].get("subnets") or ():
            name: str = f"{network['resourceId']}/{subnet['resourceId']}"
            if name.lower().startswith(incomplete.lower()):
                yield name


def _named(ctx: typer.Context, kind: str, incomplete: str) -> Iterator[str]:
    for resource in _resources(ctx, kind):
        if resource["resourceId"].lower().startswith(incomplete.lower()):
            yield resource["resourceId"]


def _resources(ctx: typer.Context, kind: str) -> list[Any]:
    url = str(ctx.params.get("controller") or os.environ.get("WEFT_CONTROLLER") or DEFAULT_URL)

    async def ask() -> list[Any]:
        async with desk_of(ctx).connect(url, None, _QUICK) as client:
            return await client.list_all(path_of(f"/{kind}"))

    with contextlib.suppress(WeftError):
        return asyncio.run(ask())
    return []
