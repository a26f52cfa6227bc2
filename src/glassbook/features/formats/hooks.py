"""Hook names of other packages and our Sites."""

from typing import Any

from glassbook.core.errors import SiteError
from glassbook.core.sites import KINDS, Site


def site_of(hook: Any, head: Any = None) -> str | None:
    """Return the Site that a hook name of TransformerLens stands for; None where it stands for none of ours."""
    if not isinstance(hook, str):
        return None
    try:
        site = Site.parse(hook)
        if head is None or head is False:
            return str(site)
        return str(Site.parse(f"L{site.layer}.H{head}.{site.name}"))
    except SiteError:
        return None


def hook_of(site: Any) -> tuple[str | None, int | None]:
    """Return the hook name of TransformerLens for a Site, and the head that it is of; (None, None) where there is none."""
    if not isinstance(site, str):
        return None, None
    try:
        found = Site.parse(site)
    except SiteError:
        return None, None
    return found.legacy, found.head


def has_heads(site: str | None) -> bool:
    """Return whether the values at a Site stand apart by head, where it is not the Site of one head."""
    if site is None:
        return False
    found = Site.parse(site)
    return found.head is None and "d_head" in KINDS[found.name].axes


def layer_of(site: Any) -> int | None:
    """Return the layer of a Site; None outside the layers."""
    try:
        return Site.parse(site).layer if isinstance(site, str) else None
    except SiteError:
        return None
