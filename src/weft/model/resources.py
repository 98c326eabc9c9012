"""The envelope that every resource shares (MS-NCNBI 2.2.2) and the table of kinds that Weft serves.

What the state holds in great number says gc=False: values that never change cannot form a cycle, and a collector that
visits millions of them again and again takes a third of the writer's time.
"""

import functools
from typing import Any, Generic, TypeVar

import msgspec

P = TypeVar("P")


class Ref(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A reference: relative path without /networking/vN, such as /virtualNetworks/blue/subnets/web."""

    resource_ref: str = ""


@functools.lru_cache(maxsize=1 << 14)
def common_ref(ref: str) -> Ref:
    """A reference that a great many name, such as a server or a subnet: one object for them all."""
    return Ref(resource_ref=ref)


class ResourceMetadata(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """MS-NCNBI 2.2.2: kept and answered, never interpreted (tenantId will be, with identities)."""

    client: str | None = None
    tenant_id: str | None = None
    group_id: str | None = None
    resource_name: str | None = None
    original_href: str | None = None


class Resource(msgspec.Struct, Generic[P], frozen=True, gc=False, rename="camel", kw_only=True):
    """One resource or child. As input instance_id and etag may be empty; as stored they never are."""

    resource_id: str = ""
    instance_id: str = ""
    etag: str = ""
    tags: dict[str, str] | None = None
    resource_metadata: ResourceMetadata | None = None
    properties: P


AnyResource = Resource[Any]
