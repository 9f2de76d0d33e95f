"""Connections of feeds: to addresses that are allowed, and never beyond a deadline.

The address that was checked is the one that is dialled, so that a name which changes its address in between (DNS
rebinding) gains nothing. Every read gets what is left of the whole time, so that a source that drips cannot hold a feed.
"""

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable
from typing import Any

import httpcore

from service.feeds.told import FeedError

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""An IPv4 address in its last 32 bits (RFC 6052); what it leads to is as public as that one."""
ISATAP = (b"\0\0\x5e\xfe", b"\2\0\x5e\xfe")
"""Bytes 8 to 11 of an address whose last 32 bits are the IPv4 address to which a router tunnels (RFC 5214)."""
LOCAL = tuple(ipaddress.IPv6Network(n) for n in ("64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96", "fec0::/10"))
"""NAT64 of a network's own (RFC 8215), IPv4-compatible and -translated, site-local: never public, whatever is in them."""


def is_public(address: str) -> bool:
    """Return whether an address is one of the world's, and so is every IPv4 address that it embeds.

    A gateway for NAT64, 6to4, Teredo (server and client) or a mapped address takes the embedded address off again.
    """
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv4Address):
        return found.is_global and not found.is_multicast
    inner = [found.ipv4_mapped, found.sixtofour, *(found.teredo or ())]
    if found in NAT64 or found.packed[8:12] in ISATAP:
        inner.append(ipaddress.IPv4Address(found.packed[12:]))
    if not all(is_public(str(one)) for one in inner if one is not None):
        return False
    if found.ipv4_mapped is not None:
        return True
    return found.is_global and not found.is_multicast and not any(found in network for network in LOCAL)


class Dialler(httpcore.NetworkBackend):
    """Opens connections to global addresses, or to any if `private`; all of them end at a deadline of the monotonic clock."""

    def __init__(self, deadline: float, *, private: bool) -> None:
        self._deadline, self._private = deadline, private
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:  # fmt: skip
        """Connect to the first address of a host that answers.

        Raises:
            FeedError: the host has no address, or one that is not allowed.
        """
        addresses = _addresses(host, port)
        if not self._private and (inner := [a for a in addresses if not is_public(a)]):
            raise FeedError(f"{host} is at the private address {inner[0]}; `private: true` would allow that")
        failed: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                opened = self._plain.connect_tcp(address, port, left(self._deadline, timeout), local_address, socket_options)
                return Timed(opened, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed


class Timed(httpcore.NetworkStream):
    """A stream of which every act ends at a deadline."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: float) -> None:
        self._inner, self._deadline = inner, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what is there, within what is left."""
        return self._inner.read(max_bytes, left(self._deadline, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write within what is left."""
        self._inner.write(buffer, left(self._deadline, timeout))

    def close(self) -> None:
        """Close the stream."""
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Go on encrypted."""
        return Timed(self._inner.start_tls(ssl_context, server_hostname, left(self._deadline, timeout)), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        """Return what is known of the stream."""
        return self._inner.get_extra_info(info)


def left(deadline: float, at_most: float | None) -> float:
    """Return how long something may take.

    Raises:
        httpcore.ReadTimeout: nothing is left.
    """
    rest = deadline - time.monotonic()
    if rest <= 0:
        raise httpcore.ReadTimeout("the whole time is over")
    return rest if at_most is None else min(rest, at_most)


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise FeedError(f"the name {host} is not found: {error.strerror or error}") from None
    return list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))
