"""Packet captures as flow groups with scans collapsed, as flows, and as buckets of time; every packet is accounted for.

Tables stream, and go into pyarrow, pandas, Polars and DuckDB as they are::

    from pcap_compactor import flows_table

    frame = flows_table("capture.pcap", app=True).to_pandas()
    for flow in flows_table("captures/"):
        print(flow["src_ip"], flow["dst_ip"], flow["bytes_up"])

An hour of sensors is a function call, :func:`run_hour`, that hands records to a sink of yours.
"""

from ._core import version as __version__
from .config import PipelineConfig
from .errors import ConfigError, DamageWarning, EngineError, Error, InputError, MissingLibraryError, OptionError
from .hour import run_hour
from .options import BucketOptions, FlowOptions, GroupOptions
from .ports import EventSinkPort, SegmentSourcePort
from .records import GroupKey, GroupRecord, PacketRecord, ScanSummary, SegmentHandle
from .source import FilesystemSegmentSource
from .tables import Column, GroupsTable, Problem, ScansTable, Table, buckets_table, flows_table, groups_table, scans_table

__all__ = [
    "BucketOptions",
    "Column",
    "ConfigError",
    "DamageWarning",
    "EngineError",
    "Error",
    "EventSinkPort",
    "FilesystemSegmentSource",
    "FlowOptions",
    "GroupKey",
    "GroupOptions",
    "GroupRecord",
    "GroupsTable",
    "InputError",
    "MissingLibraryError",
    "OptionError",
    "PacketRecord",
    "PipelineConfig",
    "Problem",
    "ScanSummary",
    "ScansTable",
    "SegmentHandle",
    "SegmentSourcePort",
    "Table",
    "__version__",
    "buckets_table",
    "flows_table",
    "groups_table",
    "run_hour",
    "scans_table",
]
