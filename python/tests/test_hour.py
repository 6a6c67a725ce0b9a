"""The original's API: an hour is a function call."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import pickle
import re
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest

import pcap_compactor
import traffic
from conftest import shared
from pcap_compactor import (
    EventSinkPort,
    FilesystemSegmentSource,
    GroupKey,
    GroupRecord,
    PacketRecord,
    PipelineConfig,
    ScanSummary,
    SegmentHandle,
    SegmentSourcePort,
    groups_table,
    run_hour,
)

HOUR = (traffic.START, traffic.START + 3600)
ALL = (0, 2147483647)


class Kept(EventSinkPort):
    """Keeps what comes."""

    def __init__(self) -> None:
        self.groups: list[GroupRecord] = []
        self.scans: list[ScanSummary] = []
        self.metrics: list[dict[str, Any]] = []

    def on_group(self, record: GroupRecord) -> None:
        assert not self.metrics
        self.groups.append(record)

    def on_scan(self, summary: ScanSummary) -> None:
        assert not self.metrics
        self.scans.append(summary)

    def on_metrics(self, metrics: dict[str, Any]) -> None:
        self.metrics.append(metrics)


class Files(SegmentSourcePort):
    """Yields these files."""

    def __init__(self, *paths: Path) -> None:
        self.paths = paths

    def fetch(self, hour_start: int, hour_end: int) -> Iterator[SegmentHandle]:
        for path in self.paths:
            yield SegmentHandle(path.name, "mine", float(hour_start), float(hour_end), str(path))


def run(*paths: Path, window: tuple[int, int] = ALL, cfg: PipelineConfig | None = None, **more: Any) -> Kept:
    sink = Kept()
    run_hour(source=Files(*paths), sink=sink, cfg=cfg, hour_start=window[0], hour_end=window[1], **more)
    return sink


def test_the_originals_example_runs_with_its_paths_changed(sensors: Path) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", shared("seeds/000_*").read_text(), re.DOTALL))
    assert "run_hour" in code and "/data/raw/pcap" in code
    space: dict[str, Any] = {}
    exec(code.replace("/data/raw/pcap", str(sensors)), space)
    assert space["cfg"] == PipelineConfig()
    sink = Kept()
    run_hour(source=space["source"], sink=sink, cfg=space["cfg"], hour_start=space["hour_start"], hour_end=space["hour_end"])
    assert len(sink.groups) == 2 and sink.metrics[0]["segments_seen"] == 2


def test_records_have_the_originals_fields(day: Path) -> None:
    sink = run(day, window=HOUR)
    record = next(record for record in sink.groups if record.key.service == "http")
    assert record.key == GroupKey("10.0.0.1", "10.1.0.1", 80, "tcp", "http") and hash(record.key) == hash(record.key)
    assert (record.first_ts, record.last_ts, record.duration_s) == (traffic.START, traffic.START + 0.08, 0.08)
    assert record.counts.keys() == {"pkts_up", "pkts_dn", "bytes_up", "bytes_dn"} and record.counts["pkts_up"] == 5
    assert record.tcp_flags == {"syn": 2, "ack": 7, "rst": 0, "fin": 2}
    assert len(record.tokens) == 9 and record.tokens["dur_bin"] == -4
    assert record.http is not None and record.http["uri_tokens_total"] == len(record.http["uri_tokens"])  # type: ignore[arg-type]
    assert record.ftp is None and record.smb is None and record.lineage_hour == HOUR
    scan = sink.scans[0]
    assert (scan.src_ip, scan.window, scan.unique_dsts, scan.unique_ports, scan.syn_only_ratio) == ("10.9.9.9", HOUR, 200, 1, 1.0)
    assert len(scan.sample_targets) == 20 and scan.sample_targets[0][1] == 23
    names = "segments_seen segments_valid packets_processed groups_emitted scan_candidates scans_collapsed scan_outliers_kept"
    names += " http_enriched ftp_enriched smb_enriched sampling_applied"
    [metrics] = sink.metrics
    assert all(isinstance(metrics[name], int) for name in names.split())
    assert metrics["groups_emitted"] == len(sink.groups)
    for frozen in (record, record.key, scan, PacketRecord(0, "a", "b", 1, 2, "tcp", None, 60)):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(frozen, dataclasses.fields(frozen)[0].name, None)
        assert pickle.loads(pickle.dumps(frozen)) == frozen


def test_the_range_is_one_window_and_half_open(tmp_path: Path, day: Path) -> None:
    sink = run(day)
    assert {record.lineage_hour for record in sink.groups} == {ALL} and sink.metrics[0]["ledger"]["out_of_window"]["packets"] == 0
    edges = traffic.pcap(tmp_path / "edges.pcap", [(t, traffic.udp("10.0.0.1", "10.0.0.2", (1, 2))) for t in (9.999999999, 10, 20)])
    start = traffic.START + 10
    sink = run(edges, window=(start, start + 10))
    [record] = sink.groups
    assert record.counts["pkts_up"] + record.counts["pkts_dn"] == 1 and record.lineage_hour == (start, start + 10)
    assert sink.metrics[0]["ledger"]["out_of_window"]["packets"] == 2
    with pytest.raises(pcap_compactor.OptionError, match="hour_start must lie before hour_end"):
        run(day, window=(5, 5))


@pytest.mark.parametrize("time", [1697716800.0, "2023-10-19T12", None, True, 2**63])
def test_times_are_whole_seconds(day: Path, time: Any) -> None:
    words = re.escape(f"{time!r}: whole seconds since 1970, as 1697716800")
    for window, name in (((time, 2**63 - 1), "hour_start"), ((0, time), "hour_end")):
        with pytest.raises(pcap_compactor.OptionError, match=f"{name} = {words}"):
            run(day, window=window)
    assert run(day, window=(numpy.int64(0), numpy.int64(2147483647))).groups == run(day).groups  # type: ignore[arg-type]


def test_an_hour_is_the_table_of_that_window(day: Path) -> None:
    sink = run(day, window=(traffic.START, traffic.START + 5400))
    table = groups_table(day, from_=traffic.START, to=traffic.START + 5400, single_window=True, times="s")
    rows = list(table)
    assert len(rows) == len(sink.groups) > 0
    for record, row in zip(sink.groups, rows, strict=True):
        flat = dataclasses.asdict(record)
        flat = flat["key"] | flat["counts"] | flat["tcp_flags"] | flat["tokens"] | flat
        assert {name: flat[name] for name in row if name in flat} == {name: row[name] for name in row if name in flat}
    assert [scan.src_ip for scan in sink.scans] == [row["src_ip"] for row in table.scans]


def test_settings_have_their_effect(day: Path) -> None:
    assert len(run(day, cfg=PipelineConfig(idle_split_seconds=10)).groups) > len(run(day).groups)
    assert {g.key.service for g in run(day, cfg=PipelineConfig(service_port_map={23: "telnet"})).groups} == {"unknown"}
    assert not run(day, cfg=PipelineConfig(scan_unique_dsts_threshold=1000)).scans
    assert run(day, cfg=PipelineConfig(iforest_random_state=None)).groups == run(day).groups


def test_a_source_finds_hours_of_sensors(sensors: Path) -> None:
    handles = list(FilesystemSegmentSource(sensors).fetch(*HOUR))
    assert [(handle.id, handle.sensor) for handle in handles] == [
        ("edge-a/2023/10/19/12/one.pcap", "edge-a"),
        ("edge-b/2023/10/19/12/one.pcap", "edge-b"),
    ]
    assert (handles[0].start_ts, handles[0].end_ts, handles[0].compressor) == (*HOUR, "none")
    assert isinstance(FilesystemSegmentSource(sensors), SegmentSourcePort)
    assert not list(FilesystemSegmentSource(sensors, sensors=[]).fetch(*HOUR))
    assert len(list(FilesystemSegmentSource(sensors, sensors=["edge-b", "edge-b"]).fetch(*ALL))) == 1
    assert len(list(FilesystemSegmentSource(sensors, sensors="edge-b").fetch(*ALL))) == 1
    note = sensors / "edge-b/2023/10/19/12/notes.pcap"
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text("no capture")
    long_ago = time.time() - 60
    os.utime(note, (long_ago, long_ago))
    with pytest.warns(pcap_compactor.DamageWarning, match="notes.pcap: is not a capture; it is left out"):
        list(FilesystemSegmentSource(sensors, sensors="edge-b").fetch(*HOUR))
    note.unlink()
    with pytest.warns(pcap_compactor.DamageWarning, match="edge-[ab]: this sensor has no captures in the time that was asked for") as told_of:
        assert not list(FilesystemSegmentSource(sensors).fetch(HOUR[1] + 7200, HOUR[1] + 10800))
    assert [warning.message.path for warning in told_of] == [str(sensors / "edge-a"), str(sensors / "edge-b")]  # type: ignore[union-attr]
    with pytest.raises(pcap_compactor.InputError, match="no such sensor folder") as told:
        list(FilesystemSegmentSource(sensors, sensors=["edge-c"]).fetch(*HOUR))
    assert told.value.path == str(sensors / "edge-c")


def test_files_that_are_not_there_are_counted_and_warned_of(day: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing.pcap"
    with pytest.warns(pcap_compactor.DamageWarning, match="missing.pcap: cannot open"):
        sink = run(missing, day)
    assert (sink.metrics[0]["segments_seen"], sink.metrics[0]["segments_valid"]) == (2, 1)
    assert len(sink.groups) == len(run(day).groups)
    with pytest.warns(pcap_compactor.DamageWarning, match="yielded twice and read once"):
        assert run(day, day).groups == sink.groups
    assert run().metrics[0]["packets_processed"] == 0

    class Wrong:
        def fetch(self, hour_start: int, hour_end: int) -> list[Any]:
            return [str(day)]

    with pytest.raises(TypeError, match="which is no SegmentHandle"):
        run_hour(source=Wrong(), sink=Kept(), hour_start=0, hour_end=1)


def test_a_sink_that_raises_stops_the_run_with_its_own_traceback(day: Path) -> None:
    for method in ("on_group", "on_scan", "on_metrics"):

        def refuses(record: object) -> None:
            raise LookupError("no room")

        sink = Kept()
        setattr(sink, method, refuses)
        with pytest.raises(LookupError, match="no room") as raised:
            run_hour(source=Files(day), sink=sink, hour_start=0, hour_end=2147483647)
        frames = [frame.name for frame in traceback.extract_tb(raised.value.__traceback__)]
        assert frames[-1] == "refuses"
        ledger = getattr(raised.value, "metrics")["ledger"]
        assert ledger["read"]["packets"] == 460 and "460 packets had been read" in raised.value.__notes__[0]


def test_sinks_of_wrong_kinds_are_refused(day: Path) -> None:
    class Deaf:
        def on_group(self, record: object) -> None: ...

    with pytest.raises(TypeError, match="sink has no method on_scan"):
        run_hour(source=Files(day), sink=Deaf(), hour_start=0, hour_end=1)  # type: ignore[arg-type]

    class Waits(Kept):
        async def on_group(self, record: GroupRecord) -> None:  # type: ignore[override]
            await asyncio.sleep(0)

    with pytest.raises(TypeError, match="on_group is a coroutine"):
        run_hour(source=Files(day), sink=Waits(), hour_start=0, hour_end=1)

    class WaitsLater(Kept):
        def on_group(self, record: GroupRecord) -> Any:
            future: asyncio.Future[None] = asyncio.Future(loop=loop)
            return future

    loop = asyncio.new_event_loop()
    with pytest.raises(TypeError, match="gave back Future, which nobody would wait for"):
        run_hour(source=Files(day), sink=WaitsLater(), hour_start=0, hour_end=2147483647)
    loop.close()

    class Returns(Kept):
        def on_group(self, record: GroupRecord) -> Any:
            super().on_group(record)
            return 5

    sink = Returns()
    run_hour(source=Files(day), sink=sink, hour_start=0, hour_end=2147483647)
    assert sink.groups == run(day).groups, "what a sink gives back is its own"
    with pytest.raises(TypeError, match="source has no method fetch"):
        run_hour(source=object(), sink=sink, hour_start=0, hour_end=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("threads", [0, -1, True, 1025, 2**70, "2", 1.5])
def test_threads_are_a_number_of_some(day: Path, threads: Any) -> None:
    with pytest.raises(pcap_compactor.OptionError, match="threads = .*: a whole number from 1 to 1024"):
        run_hour(source=Files(day), sink=Kept(), hour_start=0, hour_end=1, threads=threads)


def test_settings_are_a_configuration(day: Path) -> None:
    with pytest.raises(pcap_compactor.OptionError, match="cfg = 5: a PipelineConfig"):
        run_hour(source=Files(day), sink=Kept(), cfg=5, hour_start=0, hour_end=1)  # type: ignore[arg-type]


def test_a_path_that_none_can_have_is_one_that_cannot_be_read(day: Path) -> None:
    sink = Kept()
    with pytest.warns(pcap_compactor.DamageWarning, match="cannot open"):
        run_hour(source=Files(Path("a\0b"), day), sink=sink, hour_start=0, hour_end=2147483647)
    assert sink.groups == run(day).groups
    assert (sink.metrics[0]["segments_seen"], sink.metrics[0]["segments_valid"]) == (2, 1)


def test_the_ledger_is_told_where_an_exception_takes_none(day: Path) -> None:
    class Shut(Exception):
        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError("shut")

    class Refuses(Kept):
        def on_group(self, record: GroupRecord) -> None:
            raise Shut("no room")

    with pytest.warns(pcap_compactor.DamageWarning, match='it had counted .*"read":.*"packets":460'), pytest.raises(Shut, match="no room"):
        run_hour(source=Files(day), sink=Refuses(), hour_start=0, hour_end=2147483647)


def test_a_slow_sink_loses_groups_only_where_that_was_asked_for(tmp_path: Path) -> None:
    frames = [(n / 1e4, traffic.udp(f"10.0.{n // 250}.{n % 250}", "10.1.0.1", (5, 6))) for n in range(20_000)]
    capture = traffic.pcap(tmp_path / "many.pcap", frames)

    class Slow(Kept):
        def on_group(self, record: GroupRecord) -> None:
            super().on_group(record)
            if len(self.groups) < 20:
                time.sleep(0.01)

    kept, lossy = Slow(), Slow()
    small = PipelineConfig(emitter_queue_capacity=1024)
    run_hour(source=Files(capture), sink=kept, cfg=small, hour_start=0, hour_end=2147483647)
    assert len(kept.groups) == 20_000 == kept.metrics[0]["groups_emitted"]
    drops = small.model_copy(update={"emitter_backpressure_policy": "drop_oldest"})
    with pytest.warns(pcap_compactor.DamageWarning, match="groups were dropped"):
        run_hour(source=Files(capture), sink=lossy, cfg=drops, hour_start=0, hour_end=2147483647)
    assert 0 < len(lossy.groups) < 20_000 and len(lossy.metrics) == 1
    assert lossy.metrics[0]["groups_dropped"] == 20_000 - len(lossy.groups)


INTERRUPTED = """
import sys
import time
import pcap_compactor

class Source:
    def fetch(self, start, end):
        yield pcap_compactor.SegmentHandle("pipe", "s", 0, 1, sys.argv[2])

class Sink:
    def on_group(self, record): ...
    def on_scan(self, summary): ...
    def on_metrics(self, metrics): print("not to come")

def far(read, total, packets, end):
    if packets and sys.argv[1] not in ("loop", "batches"):
        print("runs", flush=True)

try:
    if sys.argv[1] == "hour":
        pcap_compactor.run_hour(source=Source(), sink=Sink(), hour_start=0, hour_end=2147483647, progress=far)
    elif sys.argv[1] == "rows":
        list(pcap_compactor.flows_table(sys.argv[2], progress=far))
    elif sys.argv[1] in ("loop", "batches"):
        table = pcap_compactor.buckets_table(sys.argv[2], dialect="bridge", every="1ms")
        for some in table if sys.argv[1] == "loop" else table.batches():
            print("runs", flush=True)
            # A signal between two lines and a sleep ends none.
            for _ in range(600):
                time.sleep(0.1)
    elif sys.argv[1] == "pyarrow":
        import pyarrow
        table = pcap_compactor.flows_table(sys.argv[2], progress=far)
        try:
            pyarrow.table(table)
        except pyarrow.ArrowInvalid:
            for _ in range(1000):
                pass
            print("not to come")
    else:
        pcap_compactor.flows_table(sys.argv[2], progress=far).to_arrow()
except KeyboardInterrupt as stop:
    metrics = table.metrics if "table" in globals() else stop.metrics
    print(metrics["complete"], metrics["ledger"]["read"]["packets"] > 0)
"""

# A capture that never ends, for whoever writes into the pipe goes on.
ENDLESS = """
import sys
whole = open(sys.argv[1], "rb").read()
with open(sys.argv[2], "wb") as out:
    out.write(whole[:24])
    while True:
        out.write(whole[24:])
"""


@pytest.mark.parametrize("way", ["hour", "rows", "arrow", "loop", "batches", "pyarrow"])
def test_ctrl_c_stops_a_run_and_leaves_its_ledger(day: Path, tmp_path: Path, way: str) -> None:
    pipe = tmp_path / "pipe.pcap"
    os.mkfifo(pipe)
    writer = subprocess.Popen([sys.executable, "-c", ENDLESS, day, pipe], stderr=subprocess.DEVNULL)
    reader = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, way, pipe], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert reader.stdout is not None and reader.stdout.readline() == "runs\n"
        reader.send_signal(signal.SIGINT)
        out, error = reader.communicate(timeout=60)
        assert out.splitlines()[-1] == "False True", error
    finally:
        for process in (reader, writer):
            process.kill()
            process.communicate()


ENDED = """
import itertools
import os
import sys
import threading
import time
import pyarrow
import pcap_compactor

way, capture = sys.argv[1:]
told, out = threading.Event(), open(os.devnull, "w")

def tells(*_):
    # Lets go of the interpreter again and again, also while that is ending.
    told.set()
    for _ in range(2_000):
        time.sleep(0.0001)

class Source:
    def fetch(self, start, end):
        yield pcap_compactor.SegmentHandle("one", "s", 0, 1, capture)

class Sink:
    on_group = on_scan = on_metrics = staticmethod(tells)

class Writes:
    def on_group(self, record):
        told.set()
        print(record, file=out, flush=True)
    def on_scan(self, summary): ...
    def on_metrics(self, metrics): ...

class Slow(Exception):
    def __setattr__(self, name, value): tells()
    def __str__(self):
        tells()
        return ""

class Back:
    def __getattr__(self, name):
        tells()
        raise AttributeError(name)
    def __del__(self): tells()

class Asked(Sink):
    @property
    def on_group(self):
        tells()
        return lambda record: None

class Raises(Sink):
    def on_group(self, record): raise Slow()

class Gives(Sink):
    def on_group(self, record): return Back()

def raises(*_):
    raise Slow()

def hours(sink):
    for _ in itertools.count():
        try:
            pcap_compactor.run_hour(source=Source(), sink=sink, hour_start=0, hour_end=2147483647)
        except Slow:
            pass

table = pcap_compactor.flows_table(capture, progress=tells)
run = {
    "sink": lambda: hours(Sink()),
    "writes": lambda: hours(Writes()),
    "asked": lambda: hours(Asked()),
    "raises": lambda: hours(Raises()),
    "gives": lambda: hours(Gives()),
    "text": lambda: pyarrow.table(pcap_compactor.flows_table(capture, progress=raises)),
    "back": lambda: pcap_compactor.flows_table(capture, progress=lambda *_: Back()).to_arrow(),
    "rows": lambda: list(table),
    "arrow": table.to_arrow,
    "stream": pyarrow.RecordBatchReader.from_stream(table).read_all,
}[way]
threading.Thread(target=run, daemon=True).start()
told.wait()
"""


@pytest.mark.parametrize("way", ["sink", "writes", "asked", "raises", "gives", "text", "back", "rows", "arrow", "stream"])
def test_python_ends_while_a_daemon_thread_is_in_a_callback(day: Path, way: str) -> None:
    for _ in range(3):
        run = subprocess.run([sys.executable, "-c", ENDED, way, day], capture_output=True, text=True, timeout=60)
        assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
