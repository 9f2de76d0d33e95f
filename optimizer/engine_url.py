"""The address of a distributed engine: tcp://host:port, or tls://host:port where the cluster asks for certificates."""

from urllib.parse import urlsplit

SCHEMES = ("tcp", "tls")
NOT_SHARED = "sites not shared with "
"""How the words begin by which a plan says that it was made without the cluster that was asked for."""


def host_and_port(url: str) -> tuple[str, int]:
    """Return where a cluster's scheduler listens.

    Raises:
        ValueError: it is no such address.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port or parts.scheme not in SCHEMES or url != f"{parts.scheme}://{parts.netloc}" or "@" in url:
        raise ValueError(f"expected tcp://host:port or tls://host:port, got {url!r}")
    return host, port


def not_shared(way: str) -> list[str]:
    """Return what a plan's way says of a cluster that could not be used."""
    return [words for words in way.split("; ") if words.startswith(NOT_SHARED)]


def engine_url(url: str) -> str:
    """Return an address as it is.

    Raises:
        ValueError: it is none of a cluster.
    """
    host_and_port(url)
    return url
