"""Pictures that lie elsewhere, fetched once where a person asked for it."""

import http.client
import urllib.error
import urllib.request
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from glassbook.core.errors import SourceError

LARGEST = 20 << 20
"""The most bytes of one picture."""

_TIMEOUT = 20.0
_TYPES = {
    "image/png": (".png", b"\x89PNG\r\n\x1a\n"),
    "image/jpeg": (".jpg", b"\xff\xd8\xff"),
    "image/gif": (".gif", b"GIF8"),
    "image/webp": (".webp", b"RIFF"),
    "image/avif": (".avif", b"\x00\x00\x00"),
}
"""The pictures that are taken, by the type that the server names, with their endings and first bytes; drawings (SVG) can hold
programs and are not."""


def fetch_picture(url: str) -> tuple[str, bytes]:
    """Return a file name and the bytes of the picture at `url`; raise SourceError, which says why, where there is none."""
    address = f"https:{url}" if url.startswith("//") else url
    if urlsplit(address).scheme not in ("http", "https"):
        raise SourceError(f"'{url}' cannot be fetched; only addresses with http:// or https:// can")
    request = urllib.request.Request(address, headers={"Accept": ", ".join(_TYPES), "User-Agent": "glassbook"})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
            kind = answer.headers.get_content_type()
            data = answer.read(LARGEST + 1)
    except urllib.error.HTTPError as refused:
        raise SourceError(
            f"the picture '{url}' was refused ({refused.code} {refused.reason}); it stays a link"
        ) from refused
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as fault:
        reason = getattr(fault, "reason", None) or fault
        raise SourceError(
            f"the picture '{url}' could not be fetched ({reason}); it stays a link: run this again with a network"
        ) from fault
    if kind not in _TYPES or not data.startswith(_TYPES[kind][1]):
        raise SourceError(f"what '{url}' sent is no picture that can be kept here ({kind}); it stays a link")
    if len(data) > LARGEST:
        raise SourceError(f"the picture '{url}' has more than {LARGEST >> 20} MB; it stays a link")
    stem = PurePosixPath(unquote(urlsplit(address).path)).stem[:60] or "picture"
    return f"{stem}{_TYPES[kind][0]}", data
