"""Python's results are the command line's, for every product."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.feather
import pytest

import traffic
from pcap_compactor import InputError, ScanSummary, Table, buckets_table, flows_table, groups_table, run_hour, scans_table
from pcap_compactor.options import BucketOptions, CommonOptions, FlowOptions, GroupOptions
from test_hour import ALL, Files, Kept

pytestmark = pytest.mark.filterwarnings("ignore::pcap_compactor.DamageWarning")


def table(cli: Path, folder: Path, command: str, capture: Path, *options: str) -> pyarrow.Table | None:
    """What the command writes, as Arrow; nothing where the capture is none."""
    out = folder / "out.arrow"
    with out.open("wb") as file:
        run = subprocess.run([cli, command, "--quiet", "--format", "arrow", *options, capture], stdout=file, stderr=subprocess.PIPE)
    assert run.returncode in (0, 1, 3), run.stderr
    return pyarrow.feather.read_table(out) if run.returncode != 1 else None


def lines(cli: Path, command: str, capture: Path, *options: str) -> list[dict[str, Any]] | None:
    """What the command writes as JSON Lines; nothing where the capture is none."""
    run = subprocess.run([cli, command, "--quiet", *options, capture], capture_output=True)
    assert run.returncode in (0, 1, 3), run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()] if run.returncode != 1 else None


def check(ours: Table, theirs: pyarrow.Table | None) -> None:
    if theirs is None:
        with pytest.raises(InputError):
            ours.to_arrow()
        return
    arrow = ours.to_arrow()
    assert arrow.schema.names == theirs.schema.names
    for field, other in zip(arrow.schema, theirs.schema, strict=True):
        assert (field, field.metadata) == (other, other.metadata)
    # All of it: version, product, dialect, and every setting with its value. The command has more beside the schema, captures and ledger.
    assert arrow.schema.metadata == theirs.schema.metadata
    ours_alone, theirs_alone = arrow.replace_schema_metadata(None), theirs.replace_schema_metadata(None)
    assert ours_alone.to_pandas().equals(theirs_alone.to_pandas())
    # To pandas a number that is none is missing.
    assert [column.null_count for column in ours_alone.columns] == [column.null_count for column in theirs_alone.columns]


#: Options that are about files of output, or about the command itself.
OTHERS = {
    "compact": "output format resume stats",
    "flows": "output format stats no-schema each force split-by-protocol report",
    "buckets": "output format stats append",
}


@pytest.mark.parametrize(
    ("command", "options"), [("compact", GroupOptions), ("flows", FlowOptions), ("buckets", BucketOptions)]
)
def test_options_have_the_names_of_the_command_line(cli: Path, command: str, options: type) -> None:
    named = [subprocess.run([cli, *what, "--help"], capture_output=True, text=True, check=True).stdout for what in ([command], [])]
    ours, everywhere = (set(re.findall(r"^ +(?:-\w, )?--([a-z-]+)", text, re.MULTILINE)) for text in named)
    names = {name.replace("-", "_") for name in ours - everywhere - set(OTHERS[command].split())}
    taken = {name.rstrip("_") for kind in (CommonOptions, options) for name in kind.__annotations__}
    assert names - {"quiet"} == taken - {"progress"}


def test_tables_are_equal(cli: Path, corpus: list[Path], tmp_path: Path) -> None:
    for capture in corpus:
        check(groups_table(capture, config={"window_seconds": 60}), table(cli, tmp_path, "compact", capture, "--config", _minute(tmp_path)))
        check(flows_table(capture), table(cli, tmp_path, "flows", capture))
        check(
            flows_table(capture, app=True, columns="@all", sequences=5, tcp_timeout=1.5, addresses="binary", times="ns"),
            table(cli, tmp_path, "flows", capture, "--app", "--columns=@all", "--sequences=5", "--tcp-timeout=1.5", "--addresses=binary", "--times=ns"),
        )
        check(flows_table(capture, dialect="cic"), table(cli, tmp_path, "flows", capture, "--dialect", "cic"))
        check(
            buckets_table(capture, every="1s", gap_limit=5, local="10.0.0.0/8"),
            table(cli, tmp_path, "buckets", capture, "--every=1s", "--gap-limit=5", "--local=10.0.0.0/8"),
        )
        check(
            buckets_table(capture, dialect="bridge", every="1s", gap_limit=5, bridge_address="10.0.0.1", mono_origin=-5),
            table(cli, tmp_path, "buckets", capture, "--dialect=bridge", "--every=1s", "--gap-limit=5", "--bridge-address=10.0.0.1", "--mono-origin=-5"),
        )


def test_tables_tell_the_same_settings(cli: Path, day: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rule]]\nlabel = "a"\n')
    packets: dict[str, Any] = {"filter": "udp or tcp", "no_pure_acks": True, "no_rst": True, "dedup": 3, "tunnels": "outer"}
    asked = ["--filter=udp or tcp", "--no-pure-acks", "--no-rst", "--dedup=3", "--tunnels=outer"]
    hour: dict[str, Any] = {"from_": traffic.START, "to": traffic.START + 7200}
    between = [f"--from={traffic.START}", f"--to={traffic.START + 7200}"]
    # What says how to read, or how columns are written, is no setting.
    other: dict[str, Any] = {"threads": 2, "no_pin": True, "io": "read", "addresses": "binary"}
    minute = _minute(tmp_path)

    def told(ours: Table, command: str, *options: str) -> dict[str, Any]:
        check(ours, theirs := table(cli, tmp_path, command, day, "--addresses=binary", *options))
        assert theirs is not None
        settings: dict[str, Any] = json.loads(theirs.schema.metadata[b"pcap_compactor.settings"])
        return settings

    plain = told(groups_table(day, **other), "compact")
    assert (plain["config"]["idle_split_seconds"], plain["lateness_ns"], plain["filter"]) == (120, None, "")
    groups = told(groups_table(day, config=minute, single_window=True, **packets, **hour, **other), "compact", f"--config={minute}", "--single-window", *asked, *between)
    assert groups["config"]["window_seconds"] == 60 and groups["no_rst"] is True
    assert told(groups_table(day, lateness=60, **other), "compact", "--lateness=60")["lateness_ns"] == 60_000_000_000

    flows = told(
        flows_table(day, config=minute, label=rules, max_flows=9, app="dns", app_items=3, **packets, **hour, **other),
        "flows", f"--config={minute}", f"--label={rules}", "--max-flows=9", "--app=dns", "--app-items=3", *asked, *between,
    )
    assert (flows["dedup"], flows["app"]["items"], flows["label"], flows["udp_timeout_seconds"]) == (3, 3, str(rules), 120)
    cic = told(
        flows_table(day, dialect="cic", set={"std": "population"}, time_zone="europe/berlin", source_file=True, **other),
        "flows", "--dialect=cic", "--set", "std=population", "--time-zone=europe/berlin", "--source-file",
    )
    assert (cic["switches"]["std"], cic["time_zone"]) == ("population", "Europe/Berlin")

    buckets = told(
        buckets_table(day, every=["1s", "1min"], align="start", local=["10.0.0.1/8"], reorder=500.25, mono_origin=7, bytes="captured", **packets, **hour, **other),
        "buckets", "--every=1s", "--every=1min", "--align=start", "--local=10.0.0.1/8", "--reorder=500.25", "--mono-origin=7", "--bytes=captured", *asked, *between,
    )
    assert (buckets["align"], buckets["local"], buckets["gap_limit"]) == ("start", ["10.0.0.0/8"], 36000)


def _minute(folder: Path) -> str:
    file = folder / "minute.toml"
    file.write_text("window_seconds = 60\n")
    return str(file)


def test_rows_and_metrics_are_those_of_json_lines(cli: Path, corpus: list[Path]) -> None:
    seen = {"flows": 0, "buckets": 0}
    for capture in corpus:
        for table, command, options in ((flows_table(capture), "flows", []), (buckets_table(capture, every="10s"), "buckets", ["--every=10s"])):
            theirs = lines(cli, command, capture, *options)
            if theirs is None:
                continue
            *rows, metrics = theirs
            ours = list(table)
            for mine, row in zip(ours, rows, strict=True):
                del row["type"]
                assert mine == row
            assert table.metrics == metrics
            seen[command] += len(ours)
    assert min(seen.values()) > 100, seen


def test_rows_of_the_bridge_are_those_of_its_lines(cli: Path, corpus: list[Path]) -> None:
    seen = 0
    for capture in corpus:
        theirs = lines(cli, "buckets", capture, "--dialect=bridge")
        if theirs is None:
            continue
        ours = buckets_table(capture, dialect="bridge")
        assert {column.type for column in ours.schema} == {"Int64", "Utf8", "Boolean"}
        assert list(ours) == theirs
        assert ours.metrics is not None and ours.metrics["buckets_emitted"] == len(theirs)
        seen += len(theirs)
    assert seen > 1000


def test_an_hour_is_equal(cli: Path, corpus: list[Path]) -> None:
    seen = 0
    for capture in corpus:
        theirs = lines(cli, "compact", capture, "--single-window", "--from=0.0", "--to=2147483647")
        if theirs is None:
            continue
        sink = Kept()
        run_hour(source=Files(capture), sink=sink, hour_start=ALL[0], hour_end=ALL[1])
        groups = [line for line in theirs if line["type"] == "group"]
        for group, record in zip(groups, sink.groups, strict=True):
            assert group["key"] == {name: getattr(record.key, name) for name in record.key.__slots__}
            for name in group.keys() - {"type", "key", "lineage_hour"}:
                assert group[name] == getattr(record, name), (capture, name)
            assert tuple(group["lineage_hour"]) == record.lineage_hour
            seen += 1
        scans = [line for line in theirs if line["type"] == "scan"]
        for scan, summary in zip(scans, sink.scans, strict=True):
            check_scan(scan, summary)
        assert {"type": "metrics"} | sink.metrics[0] == theirs[-1]
    assert seen > 100


def check_scan(line: dict[str, Any], summary: ScanSummary) -> None:
    line = {name: value for name, value in line.items() if name != "type"}
    line |= {"window": tuple(line["window"]), "sample_targets": [tuple(target) for target in line["sample_targets"]]}
    assert line == dataclasses.asdict(summary)


def test_scans_are_equal(cli: Path, day: Path) -> None:
    [theirs] = [line for line in lines(cli, "compact", day) or [] if line["type"] == "scan"]
    sink = Kept()
    run_hour(source=Files(day), sink=sink, hour_start=traffic.START, hour_end=traffic.START + 3600)
    [summary] = sink.scans
    check_scan(theirs, summary)
    [ours] = list(scans_table(day))
    assert ours.pop("sample_dsts") == [address for address, _ in theirs["sample_targets"]]
    assert ours.pop("sample_ports") == [port for _, port in theirs.pop("sample_targets")]
    assert [ours.pop("window_start"), ours.pop("window_end")] == theirs.pop("window")
    assert ours == {"sensor": None} | {name: value for name, value in theirs.items() if name != "type"}
