"""Keyword options of tables: those of the command line, under its names (``from`` is a word of Python's, so it is ``from_``).

``pcap-compactor flows --help`` says more of each. What is left out, or is ``None`` or ``False``, is at the
command line's default.
"""

from __future__ import annotations

import builtins
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, Literal, TypeAlias, TypedDict, TypeVar

from .config import PipelineConfig, to_json
from .errors import OptionError
from .progress import Report
from .scalars import plain

Path: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
Time: TypeAlias = str | int | float | datetime
"""``"2023-10-19T13"``, seconds since 1970, or a ``datetime``; UTC where no zone is said."""
Seconds: TypeAlias = int | float | str | timedelta


class CommonOptions(TypedDict, total=False):
    """What every table takes."""

    #: Read segments from ``root/<sensor>/YYYY/MM/DD/HH/`` instead of inputs; needs ``hour``, or ``from_`` and ``to``.
    root: Path | None
    #: Only these sensors.
    sensor: str | Sequence[str] | None
    #: Run sensors apart: a column names the sensor.
    by_sensor: bool
    #: Only this UTC hour.
    hour: Time | None
    #: Only packets from this time on, and before that one.
    from_: Time | None
    to: Time | None
    #: Follow tunnels to the innermost addresses, or keep the outermost.
    tunnels: Literal["inner", "outer"]
    #: Leave out frames that equal one of so many before them in their file.
    dedup: int
    #: Only packets that match, in tcpdump's language.
    filter: str | None
    #: Leave out TCP packets that only acknowledge.
    no_pure_acks: bool
    #: Leave out TCP packets with RST.
    no_rst: bool
    #: Threads in all; by default the cores that may be used.
    threads: int | None
    #: Do not pin threads to cores.
    no_pin: bool
    #: Map files into memory, or read them; ``auto`` maps those untouched for a minute.
    io: Literal["auto", "mmap", "read"]
    #: Lengths of time as seconds, or as whole nanoseconds. Points in time are nanoseconds in tables, and as this says in rows.
    times: Literal["s", "ns"] | None
    #: Which length counts as a packet's bytes.
    bytes: Literal["wire", "captured"] | None
    #: Addresses as text, or as 16 bytes.
    addresses: Literal["text", "binary"]
    #: Tells how far a pass is: ``True`` for a line on standard error, or a function.
    progress: bool | Report | None


class GroupOptions(CommonOptions, total=False):
    """What ``groups_table`` and ``scans_table`` take."""

    #: Take the range from ``from_`` to ``to`` as one window.
    single_window: bool
    #: Close hours that ended so many seconds before the newest packet.
    lateness: int | None
    #: Settings: a :class:`PipelineConfig`, its fields, or the path of a file of TOML.
    config: PipelineConfig | Mapping[str, Any] | Path | None


class FlowOptions(CommonOptions, total=False):
    """What ``flows_table`` takes."""

    #: When flows end: by the rules below, or never.
    flow_end: Literal["rules", "never"] | None
    #: The longest silence inside a flow, in seconds, by protocol; 0: any.
    tcp_timeout: Seconds | None
    udp_timeout: Seconds | None
    other_timeout: Seconds | None
    #: The longest time from a flow's first packet to its last; 0, and the default: any.
    active_timeout: Seconds | None
    #: How far behind its flow's newest packet one may come and still be put in its place, in milliseconds.
    reorder: Seconds | None
    #: Leave out flows with fewer packets.
    min_packets: int
    #: Only so many flows, those of most packets.
    max_flows: int | None
    #: Leave out TCP segments whose bytes were all seen before.
    no_retransmissions: bool | None
    #: Keep captures apart; a last column names the capture.
    source_file: bool
    #: Flows as another program has them: ``wa1kpcap``, ``cic``, ``nf-v3``, ...
    dialect: str | None
    #: Switches of a dialect.
    set: Mapping[str, str] | None
    #: The zone of a dialect's times that are dates.
    time_zone: str | None
    #: Columns and groups of columns in their order: ``"@default,@stats"``, or a list.
    columns: str | Sequence[str] | None
    #: The first so many packets of each flow, one by one, as lists.
    sequences: int | None
    #: A file of rules by which flows have labels.
    label: Path | None
    #: What payload says: of all protocols (``True``), or of these.
    app: bool | str | Sequence[str] | None
    #: Bytes of a direction that wait to be read, things and bytes of text that are kept of a flow.
    app_buffer: int | None
    app_items: int | None
    app_text: int | None
    #: Whether variance, skewness and kurtosis are of a population or of a sample.
    stats_form: Literal["population", "sample"] | None
    #: Settings; of them flows take the service ports and which bytes count.
    config: PipelineConfig | Mapping[str, Any] | Path | None


class BucketOptions(CommonOptions, total=False):
    """What ``buckets_table`` takes."""

    #: How long a bucket lasts, ``"100ms"``; several widths make one table.
    every: str | Sequence[str] | None
    #: Buckets begin at multiples of their width since 1970, or at the first packet.
    align: Literal["epoch", "start"]
    #: Who is local: networks, addresses, Ethernet addresses.
    local: str | Sequence[str] | None
    #: How long a bucket waits for packets that come late, in milliseconds.
    reorder: Seconds | None
    #: Up to so many empty buckets in a row have a row each.
    gap_limit: int | None
    #: Adds ``t_mono_ns``, of a clock that showed 0 at this time, nanoseconds since 1970.
    mono_origin: int | None
    #: Rows as another program has them: ``bridge``, the collector that training sets for gateways were made with.
    dialect: Literal["bridge"] | None
    #: With ``dialect="bridge"``, whose packets are ``out``: ``"10.200.0.1"``.
    bridge_address: str | None


_F = TypeVar("_F", bound=Callable[..., Any])


def takes(options: type) -> Callable[[_F], _F]:
    """Shows the options of a function in its signature, for ``help`` and notebooks."""

    def shown(function: _F) -> _F:
        plain = inspect.signature(function)
        inputs = [it for it in plain.parameters.values() if it.kind is not inspect.Parameter.VAR_KEYWORD]
        named = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
            for name, annotation in _annotations(options).items()
        ]
        function.__signature__ = plain.replace(parameters=[*inputs, *named])  # type: ignore[attr-defined]
        return function

    return shown


def _annotations(options: type) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in [CommonOptions, options]:
        # Of this module they are text, which a TypedDict wraps.
        found |= {name: getattr(about, "__forward_arg__", about) for name, about in kind.__annotations__.items()}
    return found


def prepared(function: str, options: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options as the engine reads them."""
    names = _annotations(options)
    for name in given:
        if name not in names:
            import difflib

            near = difflib.get_close_matches(name.replace("-", "_"), names, 1)
            way = f"; did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}{way}")
    asked = {name: plain(value) for name, value in given.items() if name != "progress"}
    asked = {name: value for name, value in asked.items() if value is not None and value is not False}
    for name in ("hour", "from_", "to"):
        if name in asked:
            asked[name] = _time(asked[name])
    for name in ("root", "label"):
        if name in asked:
            asked[name] = path(name, asked[name])
    config = asked.pop("config", None)
    if isinstance(config, (PipelineConfig, Mapping)):
        asked["config"] = to_json(config)
    elif config is not None:
        asked["config_file"] = path("config", config, "a PipelineConfig, a dictionary of its fields, or the path of a file of TOML")
    if isinstance(asked.get("set"), Mapping):
        asked["set"] = [(name, str(value)) for name, value in asked["set"].items()]
    return asked


def path(name: str, value: Any, what: str = "a path") -> str:
    """A path as text, which has every name that a file can have."""
    if not isinstance(value, (str, bytes, os.PathLike)):
        raise OptionError(f"{name} = {value!r}: {what}")
    return os.fsdecode(value)


def _time(value: Time) -> str:
    """A time as the engine reads it, exactly."""
    if isinstance(value, datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=timezone.utc)
        return aware.astimezone(timezone.utc).replace(tzinfo=None).isoformat()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value}.0" if isinstance(value, builtins.int) else f"{value:.9f}"
