"""The original's language of filters, as tcpdump's, which is the engine's."""

from __future__ import annotations

import re

from .. import _core
from ..errors import OptionError

#: What the original leaves out unless it is told otherwise.
DEFAULT = "not arp and not icmp and not icmpv6 and not dhcp and not dhcpv6"

#: Later fragments, of which a whole datagram could only be known by joining them.
NO_LATER_FRAGMENTS = "not (ip[6:2] & 0x1fff != 0 or (ip6[6] = 44 and ip6[42:2] & 0xfff8 != 0))"

#: Words that are not tcpdump's.
_WORDS = {
    "icmpv6": "icmp6",
    "ipv6": "ip6",
    "dhcp": "(udp portrange 67-68)",
    "dhcpv6": "(udp portrange 546-547)",
    "gre": "(ip proto 47 or ip6 proto 47)",
    "vxlan": "(udp port 4789)",
}

#: Words about payload, of which packets' headers say nothing.
_PAYLOAD = {"tls", "http", "dns"}


def tcpdump(name: str, text: str) -> str:
    """A filter in tcpdump's language; the words of the original's are also taken. Empty if every packet matches.

    It stands by itself: whoever puts it in brackets has the same filter.
    """
    if not isinstance(text, str):
        raise OptionError(f"{name} = {text!r}: a filter in tcpdump's language, as 'tcp port 443', or None")

    def word(found: re.Match[str]) -> str:
        word = found[0].lower()
        if word in _PAYLOAD:
            raise OptionError(f"{name}: packets are not chosen by {word}; choose flows: [flow for flow in flows if flow.{word}]")
        return _WORDS.get(word, found[0])

    # What stands inside an address or a host's name is none of them.
    told = re.sub(r"(?<![\w.:-])[A-Za-z][A-Za-z0-9]*(?![\w.:-])", word, text).strip()
    _core.check_filter(name, told)
    return told
