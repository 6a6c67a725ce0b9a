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
    """A filter in tcpdump's language; the words of the original's are also taken, and any in capitals. Empty if every packet matches.

    It stands by itself: whoever puts it in brackets has the same filter.
    """
    if not isinstance(text, str):
        raise OptionError(f"{name} = {text!r}: a filter in tcpdump's language, as 'tcp port 443', or None")
    written, told, behind = text.strip(), "", 0
    #: Where words stand that are told as others: in what is told, and in what was written.
    words: list[tuple[range, range]] = []
    # What stands inside an address or a host's name is none of them.
    for found in re.finditer(r"(?<![\w.:-])(?:(?:tcp|icmp6?)-[a-z]+|[a-z][a-z0-9]*)(?![\w.:-])", written, re.IGNORECASE):
        word = found[0].lower()
        if word in _PAYLOAD:
            raise OptionError(f"{name}: packets are not chosen by {word}; choose flows: [flow for flow in flows if flow.{word}]")
        told += written[behind : found.start()]
        behind, begin = found.end(), len(told)
        told += _WORDS.get(word, word)
        words.append((range(begin, len(told)), range(found.start(), found.end())))
    told += written[behind:]
    if (mistake := _core.mistake_of_filter(told)) is not None:
        raise OptionError(f"{name}: {_said(mistake, told, written, words)}")
    return told


def _said(mistake: tuple[str, int, int], told: str, written: str, words: list[tuple[range, range]]) -> str:
    """What is wrong with a filter, by its words as they were written."""
    reason, begin, end = mistake
    named = told[begin:end]
    for there, here in reversed(words):
        if there.start <= begin:
            end = here.stop if begin in there else here.stop + end - there.stop
            begin = here.start if begin in there else here.stop + begin - there.stop
            break
    if named:
        reason = reason.replace(f"`{named}`", f"`{written[begin:end]}`", 1)
    shown = "".join(letter if letter.isprintable() else " " for letter in written)
    return f"{reason}\n  {shown}\n  {' ' * begin}{'^' * max(end - begin, 1)}"
