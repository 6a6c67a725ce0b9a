"""Tables: what they say, who takes them, and what they cost."""

from __future__ import annotations

import datetime
import gc
import inspect
import os
import pickle
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any, cast

import duckdb
import numpy
import pandas
import polars
import pyarrow
import pytest

import pcap_compactor
import traffic
from conftest import peak
from pcap_compactor import buckets_table, flows_table, groups_table, scans_table


def test_four_libraries_take_a_table_as_it_is(day: Path) -> None:
    flows = flows_table(day)
    arrow = pyarrow.table(flows)
    assert arrow.num_rows == 320
    assert flows.to_arrow().equals(arrow)
    assert polars.DataFrame(flows).height == flows.to_polars().height == 320
    from_arrow: Callable[[object], pandas.DataFrame] = getattr(pandas.DataFrame, "from_arrow")
    assert len(flows.to_pandas()) == len(from_arrow(flows)) == 320
    sums = duckdb.sql("select count(*), sum(pkts_up) from flows where dst_port = 80")
    assert sums is not None and sums.fetchall() == [(20, 100)]


def test_rows_are_dictionaries_with_times_as_numbers(day: Path) -> None:
    first = next(iter(flows_table(day, filter="tcp port 80")))
    assert first["src_ip"] == "10.0.0.1"
    assert first["first_ts"] == float(traffic.START)
    assert first["duration_s"] == 0.08
    assert next(iter(flows_table(day, times="ns", filter="tcp port 80")))["first_ts"] == traffic.START * 10**9
    assert next(iter(flows_table(day, addresses="binary")))["src_ip"] == b"\0" * 10 + b"\xff\xff\x0a\0\0\1"


def test_rows_have_no_number_where_json_has_none(tmp_path: Path) -> None:
    one_way = traffic.pcap(tmp_path / "udp.pcap", [(0.0, traffic.udp("10.0.0.1", "10.0.0.2", (5, 6)))])
    table = flows_table(one_way, dialect="nexus")
    assert [row["forward_backward_ratio"] for row in table] == [None]
    assert table.to_arrow().column("forward_backward_ratio").to_pylist() == [float("inf")]


def test_a_table_says_what_it_is(day: Path) -> None:
    groups = groups_table(day, no_rst=True)
    column = next(column for column in groups.schema if column.name == "bytes_up")
    assert column.type == "Int64" and column.unit == "bytes" and "client" in str(column.meaning)
    assert "no_rst=True" in repr(groups) and "not read yet" in repr(groups)
    assert groups.metrics is None
    arrow = groups.to_arrow()
    assert arrow.schema.names == list(groups.columns) and pyarrow.schema(cast(Any, groups)).names == list(groups.columns)
    assert b"no_rst" in (arrow.schema.metadata or {})[b"pcap_compactor.settings"]
    assert "460 packets of 1 file read" in repr(groups)
    assert groups.metrics is not None and groups.metrics["ledger"]["read"]["packets"] == 460


def test_scans_come_with_groups_or_by_themselves(day: Path) -> None:
    groups = groups_table(day)
    alone = groups.scans.to_arrow()
    assert groups.metrics is None, "groups were not read for that"
    rows = groups.to_arrow().num_rows
    with_groups = groups.scans
    assert with_groups.to_arrow().equals(alone) and list(with_groups) == list(scans_table(day))
    assert with_groups.metrics is None, "no other pass was made"
    assert alone.to_pylist()[0]["packets"] == 200 and alone.equals(scans_table(day).to_arrow())
    assert groups.to_arrow().num_rows == rows


def test_options_are_those_of_the_command_line(day: Path) -> None:
    noon = datetime.datetime(2023, 10, 19, 12, tzinfo=datetime.timezone.utc)
    for hour in ("2023-10-19T12", traffic.START, float(traffic.START), noon, noon.replace(tzinfo=None)):
        assert groups_table(day, hour=hour).to_arrow().num_rows == groups_table(day, from_=noon, to="2023-10-19T13").to_arrow().num_rows
    assert {row["width"] for row in buckets_table(day, every=["1h", "10min"])} == {3600.0, 600.0}
    assert len(list(flows_table(day, max_flows=3))) == 3
    assert flows_table(day, columns=["src_ip", "iat_mean"]).columns == ("src_ip", "iat_mean")
    assert flows_table(day, app="http", columns="src_ip").columns[:1] == ("src_ip",)
    assert [row["http_host"] for row in flows_table(day, columns="http_host", filter="port 80", app_items=5)][0] is not None
    assert len(list(flows_table(day, udp_timeout=datetime.timedelta(seconds=0.5)))) == 320
    assert {row["source_file"] for row in flows_table(day.parent, source_file=True)} == {"day.pcap"}
    assert len(flows_table(day, dialect="nf-v3").columns) > 50


@pytest.mark.parametrize("table", [groups_table, scans_table, flows_table, buckets_table])
def test_signatures_show_what_leaving_out_an_option_comes_to(day: Path, table: Callable[..., pcap_compactor.Table]) -> None:
    options = [it for it in inspect.signature(table).parameters.values() if it.kind is inspect.Parameter.KEYWORD_ONLY]
    shown = {it.name: it.default for it in options if it.default is not None}
    assert len(shown) >= 11
    # The metadata tells the settings, so one that is another shows even where no row does.
    given, left_out = table(day, **shown).to_arrow(), table(day).to_arrow()
    assert given.schema.equals(left_out.schema, check_metadata=True) and given.equals(left_out)


@pytest.mark.parametrize("table", [groups_table, scans_table, flows_table, buckets_table])
def test_help_says_a_word_on_each_option(table: Callable[..., pcap_compactor.Table]) -> None:
    text = (inspect.getdoc(table) or "").partition("\nOptions:\n")[2]
    told = re.findall(r"^    (\w+): \w", text, re.MULTILINE)
    options = [it.name for it in inspect.signature(table).parameters.values() if it.kind is inspect.Parameter.KEYWORD_ONLY]
    assert told == options


def test_no_sensor_is_not_every_sensor(sensors: Path) -> None:
    none: tuple[list[str], tuple[str, ...]] = ([], ())
    for some in none:
        with pytest.raises(pcap_compactor.OptionError, match="sensor = "):
            groups_table(root=sensors, hour=traffic.START, sensor=some)


def test_paths_may_be_bytes_of_any_kind(tmp_path: Path) -> None:
    name = os.path.join(os.fsencode(tmp_path), b"\xff.pcap")
    with pytest.raises(pcap_compactor.InputError) as told:
        groups_table(name).to_arrow()
    assert told.value.path == os.fsdecode(name)
    os.rename(traffic.day(tmp_path), name)
    assert groups_table(name).to_arrow().num_rows > 0
    with open(name, "r+b") as file:
        file.truncate(os.path.getsize(name) - 5)
    with pytest.warns(pcap_compactor.DamageWarning) as warned:
        table = groups_table(name)
        table.to_arrow()
    assert [problem.path for problem in table.problems] == [os.fsdecode(name)]
    assert cast(Any, warned[0].message).path == os.fsdecode(name)


def test_scalars_of_numpy_are_what_they_are_of(day: Path) -> None:
    table = flows_table(day, **cast(Any, {"min_packets": numpy.int64(2), "no_rst": numpy.True_, "app": numpy.False_}))
    assert table.to_arrow().equals(flows_table(day, min_packets=2, no_rst=True).to_arrow())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tcp_timeout": "soon"}, "tcp_timeout = 'soon': seconds go from 0 to 9223372036, with up to 9 decimals: 300 or 0.5"),
        ({"tcp_timeout": -1}, "tcp_timeout = -1: seconds go from 0"),
        ({"tcp_timeout": float("nan")}, "tcp_timeout = nan"),
        ({"tcp_timeout": 5, "flow_end": "never"}, "flow_end 'never' has no timeouts; leave out tcp_timeout"),
        ({"tunnels": "both"}, "tunnels = 'both': one of 'inner', 'outer'"),
        ({"threads": 0}, "threads = 0: a whole number from 1 to 1024"),
        ({"threads": "many"}, "threads = 'many': a whole number from 1 to 1024"),
        ({"threads": True}, "threads = True: a whole number from 1 to 1024"),
        ({"root": 5}, "root = 5: a path"),
        ({"label": 5}, "label = 5: a path"),
        ({"config": 5}, "config = 5: a PipelineConfig, a dictionary of its fields, or the path of a file of TOML"),
        ({"progress": 5}, "progress = 5: True, False, or a function"),
        ({"columns": []}, "columns = []: a text, or a list of texts"),
        ({"filter": "tcp prt 80"}, "filter: "),
        ({"columns": "src_ip,nothing"}, "nothing"),
        ({"columns": "@sequences"}, "columns of sequences need sequences"),
        ({"dialect": "none"}, "dialect: "),
        ({"dialect": "cic", "reorder": 5}, "dialect 'cic' has reorder of its own; leave out reorder"),
        ({"set": {"std": "population"}}, "set is about a dialect"),
        ({"dialect": "cic", "set": {"std": "x"}}, "set: "),
        ({"app_items": 5}, "app_buffer, app_items and app_text are about payload; add app"),
        ({"hour": "noon"}, "hour: `noon` is no time"),
        ({"hour": "2023-10-19T12", "to": 5}, "hour is a range of time by itself"),
        ({"from_": 5, "to": 5}, "from_ must lie before to"),
        ({"sensor": "a"}, "sensor needs root"),
        ({"root": "."}, "root and inputs exclude one another"),
        ({"label": "no-such-file"}, "no-such-file: cannot read"),
        ({"config": {"window": 5}}, "window"),
        ({"no_rst": "yes"}, "no_rst = 'yes': True or False"),
    ],
)
def test_options_that_are_not_taken_are_named(day: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(pcap_compactor.Error) as told:
        flows_table(day, **options)
    assert words in str(told.value)


def test_an_hour_may_be_one_window(day: Path) -> None:
    short = pcap_compactor.PipelineConfig(window_seconds=60)
    hour = groups_table(day, hour="2023-10-19T12", single_window=True, config=short)
    assert {(row["window_start"], row["window_end"]) for row in hour} == {(float(traffic.START), traffic.START + 3600.0)}
    assert list(hour) == list(groups_table(day, from_="2023-10-19T12", to="2023-10-19T13", single_window=True, config=short))
    with pytest.raises(pcap_compactor.OptionError, match="single_window needs from_ and to, or hour"):
        groups_table(day, from_="2023-10-19T12", single_window=True)


def test_unknown_options_are_refused_with_a_near_one(day: Path) -> None:
    with pytest.raises(TypeError, match=r"flows_table\(\) got an unexpected keyword argument 'tcp_timout'; did you mean 'tcp_timeout'"):
        flows_table(day, tcp_timout=5)  # type: ignore[call-arg]
    with pytest.raises(pcap_compactor.OptionError, match="drop_oldest"):
        groups_table(day, config={"emitter_backpressure_policy": "drop_oldest"})
    with pytest.raises(pcap_compactor.OptionError, match="every = '5 parsecs'"):
        buckets_table(day, every="5 parsecs")
    with pytest.raises(pcap_compactor.OptionError, match="local"):
        buckets_table(day, local="here")
    with pytest.raises(pcap_compactor.OptionError, match="dialect 'bridge' takes no local"):
        buckets_table(day, dialect="bridge", local="10.0.0.0/8")
    for width in ("1us", "60d", ["1s", "1h"]):
        with pytest.raises(pcap_compactor.OptionError, match="one width, of whole milliseconds, from 1 to 4294967295 "):
            buckets_table(day, dialect="bridge", every=width)
    assert [row["bucket_ms"] for row in buckets_table(day, dialect="bridge", every="4294967295ms")] == [4294967295]
    with pytest.raises(pcap_compactor.OptionError, match="dialect 'bridge' takes no addresses"):
        buckets_table(day, dialect="bridge", addresses="binary")
    for dialect in (None, "bridge"):
        with pytest.raises(pcap_compactor.OptionError, match="mono_origin = True: nanoseconds since 1970, a whole number"):
            buckets_table(day, mono_origin=True, dialect=cast(Any, dialect))
    with pytest.raises(pcap_compactor.OptionError, match="add dialect='bridge'"):
        buckets_table(day, bridge_address="10.200.0.1")
    with pytest.raises(pcap_compactor.OptionError, match="bridge_address: "):
        buckets_table(day, dialect="bridge", bridge_address="::1")
    with pytest.raises(pcap_compactor.OptionError, match="name at least one input"):
        flows_table()


def test_what_is_no_capture_is_an_error_with_its_path(tmp_path: Path, day: Path) -> None:
    missing, text = tmp_path / "missing.pcap", tmp_path / "notes.txt"
    text.write_text("no capture, but a text that is long enough to be asked what it is")
    with pytest.raises(pcap_compactor.InputError) as told:
        flows_table(missing)
    assert told.value.path == str(missing) and "cannot open" in str(told.value)
    notes = flows_table(text)
    for take in (notes.to_arrow, notes.to_polars, notes.to_pandas, lambda: list(notes)):
        with pytest.raises(pcap_compactor.InputError) as told:
            take()
        assert told.value.path == str(text) and told.value.metrics is not None
    with pytest.raises(pyarrow.ArrowInvalid, match="notes.txt"):
        pyarrow.table(notes)
    with pytest.warns(pcap_compactor.DamageWarning, match="notes.txt"):
        both = flows_table(text, day)
        assert both.to_arrow().num_rows == 320
    assert [problem.path for problem in both.problems] == [str(text)]
    (tmp_path / "empty").mkdir()
    with pytest.raises(pcap_compactor.InputError, match="holds no captures"):
        groups_table(tmp_path / "empty")


def test_a_damaged_file_is_read_up_to_the_damage_and_named(tmp_path: Path, day: Path) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(day.read_bytes()[:-10])
    with pytest.warns(pcap_compactor.DamageWarning, match="truncated at byte") as warned:
        table = groups_table(cut)
        assert table.to_arrow().num_rows > 0
    warning = warned[0].message
    assert isinstance(warning, pcap_compactor.DamageWarning) and warning.path == str(cut)
    assert table.problems[0].offset == warning.offset is not None
    assert table.metrics is not None and table.metrics["files"][0]["status"] == "truncated"


def test_captures_that_overlap_are_told(tmp_path: Path) -> None:
    # The later one by name is the earlier one in time.
    one, other = traffic.pcap(tmp_path / "b.pcap", traffic.web(0.0)), traffic.pcap(tmp_path / "a.pcap", traffic.web(1.0))
    for table in (flows_table(tmp_path), buckets_table(tmp_path)):
        assert table.to_arrow().num_rows > 0 and not table.problems
    traffic.pcap(one, traffic.web(0.0) + traffic.web(2.5, port=40001))
    for table in (flows_table(tmp_path), buckets_table(tmp_path)):
        with pytest.warns(pcap_compactor.DamageWarning, match="a.pcap begins before .*b.pcap ends") as warned:
            assert table.to_arrow().num_rows > 0
        assert len(warned) == 1 and [problem.path for problem in table.problems] == [str(other)]
    for apart in (groups_table(tmp_path), flows_table(tmp_path, source_file=True), buckets_table(tmp_path, dialect="bridge")):
        assert apart.to_arrow().num_rows > 0 and not apart.problems


def test_rules_that_match_nothing_are_told(tmp_path: Path, day: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rule]]\nlabel = "web"\nprotocol = "tcp"\n[[rule]]\nlabel = "names"\nprotocol = "udp"\n')
    table = flows_table(day, label=rules)
    assert table.to_arrow().num_rows == 320 and not table.problems
    # What one pass has counted is none of the next one's.
    traffic.pcap(day, traffic.web(0.0))
    with pytest.warns(pcap_compactor.DamageWarning, match=r"rules.toml: the rule of line 4 \(names\) matched no flow") as warned:
        assert table.to_arrow().num_rows == 1
    assert len(warned) == 1 and [problem.path for problem in table.problems] == [str(rules)]


def test_progress_is_told_and_what_it_raises_ends_the_pass(day: Path) -> None:
    told: list[tuple[int, int, int, bool]] = []
    assert groups_table(day, progress=lambda *far: told.append(cast(Any, far))).to_arrow().num_rows > 0
    assert told[-1] == (day.stat().st_size, day.stat().st_size, 460, True)

    def refuses(*_: object) -> None:
        raise RuntimeError("enough")

    for table in (groups_table(day, progress=refuses), buckets_table(day, progress=refuses), buckets_table(day, dialect="bridge", every="1h", progress=refuses)):
        for take in (table.to_arrow, lambda: list(table)):
            with pytest.raises(RuntimeError, match="enough") as raised:
                take()
            assert table.metrics is not None and table.metrics == getattr(raised.value, "metrics")
            assert table.metrics["ledger"]["read"]["packets"] == 460
            assert "ended early, 460 packets read" in repr(table)
    with pytest.raises(pcap_compactor.OptionError, match="progress"):
        groups_table(day, progress=5)  # type: ignore[arg-type]
    assert groups_table(day, progress=True).to_arrow().num_rows > 0


def _rest(rows: Iterator[dict[str, Any]]) -> int:
    return sum(1 for _ in rows)


#: What is begun here, and what another thread makes of it: how many rows there are.
WAYS: dict[str, tuple[Callable[[pcap_compactor.Table], Any], Callable[[Any], int]]] = {
    "table": (lambda table: table, lambda table: table.to_arrow().num_rows),
    "rows": (lambda table: chain([next(rows := iter(table))], rows), _rest),
    "reader": (pyarrow.RecordBatchReader.from_stream, lambda reader: reader.read_all().num_rows),
    "query": (lambda table: table, lambda flows: duckdb.connect().sql("select count(*) from flows").fetchall()[0][0]),
}


@pytest.mark.parametrize("way", WAYS)
def test_another_thread_warns_and_tells_progress_as_well(tmp_path: Path, day: Path, way: str) -> None:
    (begin, take), cut = WAYS[way], tmp_path / "cut.pcap"
    cut.write_bytes(day.read_bytes()[:-10])
    told: list[tuple[int, int, int, bool]] = []
    begun = begin(flows_table(cut, progress=lambda *far: told.append(cast(Any, far))))
    with pytest.warns(pcap_compactor.DamageWarning, match="truncated at byte") as warned, ThreadPoolExecutor(1) as other:
        assert other.submit(take, begun).result() == 319
    assert [cast(Any, warning.message).path for warning in warned] == [str(cut)]
    assert told[-1] == (cut.stat().st_size, cut.stat().st_size, 459, True) and [end for *_, end in told].count(True) == 1


def test_what_progress_raises_ends_a_pass_in_another_thread(day: Path) -> None:
    def refuses(*_: object) -> None:
        raise RuntimeError("enough")

    reader = pyarrow.RecordBatchReader.from_stream(flows_table(day, progress=refuses))
    with ThreadPoolExecutor(1) as other, pytest.raises(pyarrow.ArrowInvalid, match="enough"):
        other.submit(reader.read_all).result()


HELD = """
import ctypes, sys, threading, time, warnings
import pyarrow
import pcap_compactor

warnings.simplefilter(sys.argv[2])
reader = pyarrow.RecordBatchReader.from_stream(pcap_compactor.flows_table(sys.argv[1]))
thread = threading.Thread(target=reader.read_all)
thread.start()
# The C library's, called without letting go of the interpreter.
ctypes.PyDLL(None).usleep(3_000_000)
thread.join(30)
print(thread.is_alive())
# Now there is somebody to be told.
time.sleep(1)
"""


@pytest.mark.parametrize("warnings", ["always", "error"])
def test_who_holds_the_interpreter_is_not_waited_for_and_told_later(tmp_path: Path, day: Path, warnings: str) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(day.read_bytes()[:-10])
    run = subprocess.run([sys.executable, "-c", HELD, cut, warnings], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout == "False\n" and run.stderr.count("truncated at byte") == 1


def test_what_progress_raises_behind_the_end_is_written(day: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: written.append(told.exc_value))

    def refuses(*_: object) -> None:
        time.sleep(1.5)
        raise RuntimeError("too late")

    reader = pyarrow.RecordBatchReader.from_stream(flows_table(day, progress=refuses))
    with ThreadPoolExecutor(1) as other:
        assert other.submit(reader.read_all).result().num_rows == 320
    deadline = time.monotonic() + 10
    while not written and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [str(error) for error in written] == ["too late"]


def _closed(table: pcap_compactor.Table) -> None:
    reader = pyarrow.RecordBatchReader.from_stream(table)
    reader.read_next_batch()
    reader.close()


def _limited(flows: pcap_compactor.Table) -> None:
    assert len(duckdb.connect().sql("select * from flows limit 3").fetchall()) == 3


#: Loops, readers and queries that are left.
LEFT: dict[str, Callable[[pcap_compactor.Table], object]] = {
    "rows": lambda table: next(iter(table)),
    "batches": lambda table: next(table.batches()),
    "deleted": lambda table: pyarrow.RecordBatchReader.from_stream(table).read_next_batch(),
    "closed": _closed,
    "query": _limited,
}


@pytest.mark.parametrize("way", LEFT)
def test_a_pass_that_nobody_follows_stops_and_leaves_its_ledger(tmp_path: Path, way: str) -> None:
    table = flows_table(traffic.large(tmp_path, 300_000), threads=1, no_pin=True, udp_timeout=0.001)
    before = threading.active_count()
    LEFT[way](table)
    gc.collect()
    assert table.metrics is not None and table.metrics["complete"] is False
    read = table.metrics["ledger"]["read"]["packets"]
    assert 0 < read < 300_000 and f"ended early, {read:,} packets read" in repr(table)
    deadline = time.monotonic() + 10
    while _engines() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert _engines() == 0 and threading.active_count() == before


def test_what_is_raised_within_a_pass_has_its_ledger_at_once(tmp_path: Path) -> None:
    table = flows_table(traffic.large(tmp_path, 300_000), threads=1, no_pin=True, udp_timeout=0.001)
    batches = table.batches()
    next(batches)
    try:
        # As Ctrl-C comes there; its traceback holds the frame.
        batches.throw(KeyboardInterrupt)
    except KeyboardInterrupt:
        assert table.metrics is not None and 0 < table.metrics["ledger"]["read"]["packets"] < 300_000


def test_numbers_that_are_computed_are_taken(day: Path) -> None:
    table = flows_table(day, udp_timeout=0.1 + 0.2).to_arrow()
    assert table.equals(flows_table(day, udp_timeout=0.3).to_arrow())
    with pytest.raises(pcap_compactor.OptionError, match="udp_timeout = 1e-12: "):
        flows_table(day, udp_timeout=1e-12)


def _engines() -> int:
    tasks = Path("/proc/self/task").iterdir()
    return sum((task / "comm").read_text().strip() == "pcap-compactor" for task in tasks)


MEMORY = """
import resource, sys
import pcap_compactor
flows = pcap_compactor.flows_table(sys.argv[1], udp_timeout=0.01, threads=2)
for flow in flows: break
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
n = sum(1 for flow in pcap_compactor.flows_table(sys.argv[1], udp_timeout=0.01, threads=2))
print(n, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_capture(tmp_path: Path) -> None:
    small, tenfold = (peak(MEMORY, traffic.large(tmp_path, flows), flows) for flows in (50_000, 500_000))
    assert tenfold < small + 40_000, (small, tenfold)


def test_threads_that_share_rows_lose_none(tmp_path: Path) -> None:
    rows = flows_table(traffic.large(tmp_path, 50_000), udp_timeout=0.01)._query.rows(None)
    seen: list[Any] = []

    def take() -> None:
        while (some := rows.more()) is not None:
            seen.extend(row["src_ip"] for row in some)

    takers = [threading.Thread(target=take) for _ in range(4)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert len(seen) == len(set(seen)) == 50_000


WITHOUT = """
import sys
for library in ("pyarrow", "pandas", "polars"):
    sys.modules[library] = None
import pcap_compactor
table = pcap_compactor.flows_table(sys.argv[1])
for take in (table.to_arrow, table.to_pandas, table.to_polars, lambda: next(table.batches())):
    try:
        take()
    except pcap_compactor.MissingLibraryError as error:
        assert isinstance(error, ImportError) and table.metrics is None
        print(error.name, error)
print(len(list(table)))
"""


def test_a_library_that_is_not_installed_is_told_with_the_extra_that_has_it(day: Path) -> None:
    takes = [("to_arrow", "pyarrow", "arrow"), ("to_pandas", "pandas", "pandas"), ("to_polars", "polars", "polars"), ("batches", "pyarrow", "arrow")]
    told = [f"{library} {take} needs {library}, which is not installed: pip install 'pcap-compactor[{extra}]'" for take, library, extra in takes]
    run = subprocess.run([sys.executable, "-c", WITHOUT, day], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [*told, "320"]


def test_a_missing_library_is_told_before_captures_are_read(day: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pandas", None)
        table = flows_table(day)
        with pytest.raises(pcap_compactor.MissingLibraryError) as told:
            table.to_pandas()
    assert told.value.name == "pandas" and table.metrics is None
    again = pickle.loads(pickle.dumps(told.value))
    assert (again.name, str(again), again.metrics) == ("pandas", str(told.value), None)


def test_a_library_that_cannot_be_imported_says_why_itself(day: Path, tmp_path: Path) -> None:
    (tmp_path / "polars.py").write_text("import a_library_that_it_needs")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        patch.delitem(sys.modules, "polars")
        with pytest.raises(ModuleNotFoundError, match="a_library_that_it_needs") as told:
            flows_table(day).to_polars()
    assert not isinstance(told.value, pcap_compactor.Error)


def test_other_threads_run_while_the_engine_works(tmp_path: Path) -> None:
    table = groups_table(traffic.large(tmp_path, 200_000), threads=1, no_pin=True)
    turns = 0
    done = threading.Event()

    def count() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            time.sleep(0.001)

    counter = threading.Thread(target=count)
    counter.start()
    began = time.monotonic()
    table.to_arrow()
    took = time.monotonic() - began
    done.set()
    counter.join()
    assert turns > took * 100, f"{turns} turns in {took} s"
