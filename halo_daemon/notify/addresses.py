"""
Which network addresses may be called; pure.

Names resolve to whatever their owner wants. Addresses that serve secrets to
anyone on the machine (link-local, cloud metadata) are never called, whatever
form they are written in.
"""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA = frozenset(
    ipaddress.ip_address(text) for text in ("fd00:ec2::254", "100.100.100.200", "fd20:ce::254")
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
_SHARED = ipaddress.IPv4Network("100.64.0.0/10")
_THIS_NETWORK = ipaddress.IPv4Network("0.0.0.0/8")
_LOW_32_BITS = 2**32 - 1


def unwrapped(address: Address) -> Address:
    """The IPv4 address inside an IPv4-mapped, 6to4, Teredo or NAT64 one, else the address."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64 or address in _LOCAL_NAT64:
        return ipaddress.IPv4Address(int(address) & _LOW_32_BITS)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)


def refusal(text: str, *, block_private: bool) -> str:
    """
    Say why the address *text* must not be called; empty when it may be.

    Args:
        text: An IPv4 or IPv6 address, a zone after ``%`` allowed.

        block_private: Whether private and loopback addresses are refused as well.
    """
    try:
        address = unwrapped(ipaddress.ip_address(text))
    except ValueError:
        return "not an address"
    reasons = {
        "a link-local address": address.is_link_local,
        "a cloud metadata address": address in _METADATA,
        "a multicast address": address.is_multicast,
        "an unspecified address": address.is_unspecified or address in _THIS_NETWORK,
        "a reserved address": address.is_reserved and not address.is_loopback,
        "a loopback address": block_private and address.is_loopback,
        "a private address": block_private and (address.is_private or address in _SHARED),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")
