"""Keyword options of tables: those of the command line, under its names (``from`` is a word of Python's, so it is ``from_``).

``pcap-compactor flows --help`` says more of each. What is left out, or is ``None`` or ``False``, is at the command line's default, which
signatures show.
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
    """What every table takes.

    Args:
        root: Read segments from ``root/<sensor>/YYYY/MM/DD/HH/`` instead of inputs; needs ``hour``, or ``from_`` and ``to``.
        sensor: Only these sensors. Default: all.
        by_sensor: Run sensors apart: a column names the sensor.
        hour: Only this UTC hour.
        from_: Only packets from this time on.
        to: Only packets before this time.
        tunnels: Follow tunnels to the innermost addresses, or keep the outermost.
        dedup: Leave out frames that equal one of so many before them in their file.
        filter: Only packets that match, in tcpdump's language.
        no_pure_acks: Leave out TCP packets that only acknowledge.
        no_rst: Leave out TCP packets with RST.
        threads: Threads in all. Default: the cores that may be used.
        no_pin: Do not pin threads to cores.
        io: Map files into memory, or read them; ``auto`` maps those untouched for a minute.
        times: Lengths of time as seconds, or as whole nanoseconds. Points in time are nanoseconds in tables, and as this says in rows.
        bytes: Which length counts as a packet's bytes. Default: ``wire``, or as ``config`` says.
        addresses: Addresses as text, or as 16 bytes.
        progress: Tells how far a pass is: ``True`` for a line on standard error, or a function.
    """

    root: Path | None
    sensor: str | Sequence[str] | None
    by_sensor: bool
    hour: Time | None
    from_: Time | None
    to: Time | None
    tunnels: Literal["inner", "outer"]
    dedup: int
    filter: str | None
    no_pure_acks: bool
    no_rst: bool
    threads: int | None
    no_pin: bool
    io: Literal["auto", "mmap", "read"]
    times: Literal["s", "ns"] | None
    bytes: Literal["wire", "captured"] | None
    addresses: Literal["text", "binary"]
    progress: bool | Report | None


class GroupOptions(CommonOptions, total=False):
    """What ``groups_table`` and ``scans_table`` take beside :class:`CommonOptions`.

    Args:
        single_window: Take the range from ``from_`` to ``to``, or the hour, as one window.
        lateness: Close hours that ended so many seconds before the newest packet. Default: they wait for the next file, or the end.
        config: Settings: a :class:`PipelineConfig`, its fields, or the path of a file of TOML.
    """

    single_window: bool
    lateness: int | None
    config: PipelineConfig | Mapping[str, Any] | Path | None


class FlowOptions(CommonOptions, total=False):
    """What ``flows_table`` takes beside :class:`CommonOptions`.

    Args:
        flow_end: When flows end: by the rules below, or never.
        tcp_timeout: The longest silence inside a flow of TCP, in seconds; 0: any.
        udp_timeout: The same of UDP.
        other_timeout: The same of other protocols.
        active_timeout: The longest time from a flow's first packet to its last, in seconds; 0: any.
        reorder: How far behind its flow's newest packet one may come and still be put in its place, in milliseconds.
        min_packets: Leave out flows with fewer packets.
        max_flows: Only so many flows, those of most packets. Default: all.
        no_retransmissions: Leave out TCP segments whose bytes were all seen before.
        source_file: Keep captures apart; a last column names the capture.
        dialect: Flows as another program has them: ``wa1kpcap``, ``cic``, ``nf-v3``, ... What it has of its own is not to be given: when flows
            end, but for ``udp_timeout``; ``reorder``, ``no_retransmissions``, ``columns``, ``sequences``, ``stats_form``, ``app``, ``times``.
        set: Switches of a dialect.
        time_zone: The zone of a dialect's times that are dates. Default: UTC.
        columns: Columns and groups of columns in their order: ``"@default,@stats"``, or a list.
        sequences: The first so many packets of each flow, one by one, as lists.
        label: A file of rules by which flows have labels.
        app: What payload says: of all protocols (``True``), or of these.
        app_buffer: With ``app``, bytes of a direction that wait to be read. Default: 65536.
        app_items: With ``app``, things that are kept of a flow. Default: 256.
        app_text: With ``app``, bytes of text that are kept of a flow. Default: 65536.
        stats_form: Whether variance, skewness and kurtosis are of a population or of a sample.
        config: Settings; of them flows take the service ports and which bytes count.
    """

    flow_end: Literal["rules", "never"] | None
    tcp_timeout: Seconds | None
    udp_timeout: Seconds | None
    other_timeout: Seconds | None
    active_timeout: Seconds | None
    reorder: Seconds | None
    min_packets: int
    max_flows: int | None
    no_retransmissions: bool | None
    source_file: bool
    dialect: str | None
    set: Mapping[str, str] | None
    time_zone: str | None
    columns: str | Sequence[str] | None
    sequences: int | None
    label: Path | None
    app: bool | str | Sequence[str] | None
    app_buffer: int | None
    app_items: int | None
    app_text: int | None
    stats_form: Literal["population", "sample"] | None
    config: PipelineConfig | Mapping[str, Any] | Path | None


class BucketOptions(CommonOptions, total=False):
    """What ``buckets_table`` takes beside :class:`CommonOptions`.

    Args:
        every: How long a bucket lasts, ``"100ms"``; several widths make one table.
        align: Buckets begin at multiples of their width since 1970, or at the first packet.
        local: Who is local: networks, addresses, Ethernet addresses. Default: nobody, so all packets are ``unknown``.
        reorder: How long a bucket waits for packets that come late, in milliseconds.
        gap_limit: Up to so many empty buckets in a row have a row each; with ``dialect="bridge"`` by default 864000.
        mono_origin: Adds ``t_mono_ns``, of a clock that showed 0 at this time, nanoseconds since 1970; with ``dialect="bridge"`` by default 0.
        dialect: Rows as another program has them: ``bridge``, the collector that training sets for gateways were made with. What it has of its own
            is not to be given: which packets count, and how, ``align``, ``local``, ``reorder``, ``times``.
        bridge_address: With ``dialect="bridge"``, whose packets are ``out``. Default: ``"10.200.0.1"``.
    """

    every: str | Sequence[str] | None
    align: Literal["epoch", "start"]
    local: str | Sequence[str] | None
    reorder: Seconds | None
    gap_limit: int | None
    mono_origin: int | None
    dialect: Literal["bridge"] | None
    bridge_address: str | None


#: What leaving out an option comes to, without a dialect. Of the others it is no value of the option, or not to be given by itself, and signatures
#: have ``None``.
_DEFAULTS: dict[type, dict[str, Any]] = {
    CommonOptions: {
        **dict.fromkeys(["by_sensor", "no_pure_acks", "no_rst", "no_pin", "progress"], False),
        "tunnels": "inner",
        "dedup": 0,
        "io": "auto",
        "times": "s",
        "addresses": "text",
    },
    GroupOptions: {"single_window": False},
    FlowOptions: {
        "flow_end": "rules",
        "tcp_timeout": 300,
        "udp_timeout": 120,
        "other_timeout": 60,
        "active_timeout": 0,
        "reorder": 10,
        "min_packets": 1,
        "no_retransmissions": False,
        "source_file": False,
        "columns": "@default",
        "sequences": 0,
        "app": False,
        "stats_form": "population",
    },
    BucketOptions: {"every": "100ms", "align": "epoch", "reorder": 1000, "gap_limit": 36000},
}


_F = TypeVar("_F", bound=Callable[..., Any])


def takes(options: type) -> Callable[[_F], _F]:
    """Shows the options of a function in its signature and its text, for ``help`` and notebooks."""
    usual = _DEFAULTS[CommonOptions] | _DEFAULTS[options]

    def shown(function: _F) -> _F:
        plain = inspect.signature(function)
        inputs = [it for it in plain.parameters.values() if it.kind is not inspect.Parameter.VAR_KEYWORD]
        named = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=usual.get(name), annotation=annotation)
            for name, annotation in _annotations(options).items()
        ]
        function.__signature__ = plain.replace(parameters=[*inputs, *named])  # type: ignore[attr-defined]
        # Python can be told to keep no texts.
        if function.__doc__ is not None:
            function.__doc__ = "\n".join([inspect.cleandoc(function.__doc__), "", "Options:", _about(CommonOptions), _about(options)])
        return function

    return shown


def _about(options: type) -> str:
    """What a class says of its options."""
    return inspect.cleandoc(options.__doc__ or "").partition("Args:\n")[2]


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
