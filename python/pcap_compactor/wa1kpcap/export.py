"""Flows as frames, dictionaries and files.

Columns, and cells of CSV, are those of ``pcap-compactor flows --dialect wa1kpcap``; a column for each feature of one's own stands behind them.
"""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import accumulate, chain, groupby, repeat
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OptionError
from ..needs import need
from . import text
from .alike import different, first_alike
from .collector import uncollected
from .figures import BLOCKS, ENGINE
from .flow import BASE, SPOKEN, Flow
from .part import MORE, Part, Pass
from .registry import registered

if TYPE_CHECKING:
    import pandas

_part, _row = attrgetter("_part"), attrgetter("_row")
_MORE = frozenset(MORE)

#: Rows that are text at a time.
_ROWS = 1 << 13


def to_dataframe(flows: Iterable[Flow], include_features: bool = True) -> pandas.DataFrame:
    """A frame with a row a flow, straight from the table.

    ``tls``, ``http`` and ``dns`` are dictionaries, or missing. Lists are columns of Arrow, whose cells are Python lists. Columns do not
    depend on the flows; cells of what a flow has not are missing. Only flows that all came without statistics (``compute_statistics``) have no
    columns of them.

    Args:
        flows: Flows of any analyzers, in any order.
        include_features: Also features; without them 19 columns.
    """
    pd, pa = need("pandas", "to_dataframe"), need("pyarrow", "to_dataframe")

    def keep_list(kind: Any) -> Any:
        return pd.ArrowDtype(kind) if pa.types.is_list(kind) else None

    flows = _flows(flows)
    table = _table(flows, include_features)
    first = first_alike(table)
    once = table.select(different(first)).to_pandas(types_mapper=keep_list, split_blocks=True)
    if any(column.num_chunks < 2 for column in table.columns):
        # What lies in one piece was not copied, and cannot be written to.
        once = once.copy()
    # What a frame costs is mostly memory that is touched for the first time. Columns that are alike share it until pandas writes to one, as it
    # does with columns of its own (what goes around it, by Series.array, is written to all); before pandas 3 another name makes a copy.
    frame: pandas.DataFrame = pd.DataFrame({name: once[of] if name == of else once[of].rename(name) for name, of in first.items()}, copy=False)
    for name in SPOKEN:
        column = table.column(name)
        said = column.to_pylist() if column.null_count < len(column) else [None] * len(column)
        with uncollected():
            said = [None if cell is None else spoken(cell) for cell in said]
        frame[name] = pd.Series(said, dtype=object)
    own = _own(flows) if include_features else {}
    if own:
        frame = pd.concat([frame, pd.DataFrame({name: pd.Series(cells, dtype=object).infer_objects() for name, cells in own.items()})], axis=1)
    return frame


def to_dict(flows: Iterable[Flow], include_features: bool = True) -> list[dict[str, Any]]:
    """A dictionary a flow: :meth:`Flow.to_dict`, and ``features`` with sequences, ``statistics`` and features of one's own."""
    return list(_dicts(flows, include_features))


def to_list_of_dicts(flows: Iterable[Flow], flatten_features: bool = False) -> list[dict[str, Any]]:
    """As :func:`to_dict`; flat with names as ``feature.statistics.packet_lengths.mean``."""
    found = to_dict(flows)
    if flatten_features:
        for flow in found:
            flow.update(_flat("feature", flow.pop("features")))
    return found


def to_json(flows: Iterable[Flow], path: str | os.PathLike[str], include_features: bool = True, indent: int | None = 2) -> None:
    """Writes an array of the dictionaries of :func:`to_dict`."""
    _write_json(_dicts(flows, include_features), path, indent)


def to_csv(flows: Iterable[Flow], path: str | os.PathLike[str], include_features: bool = True) -> None:
    """Writes a line a flow; the columns of :func:`to_dataframe`, lists and dictionaries as text in Python's notation."""
    flows = _flows(flows)
    table = _table(flows, include_features)
    own = _own(flows) if include_features else {}
    with open(path, "wb") as file:
        file.write(text.line([*table.schema.names, *own]).encode())
        at = 0
        for batch in table.to_batches(max_chunksize=_ROWS):
            file.write(text.lines(batch, [values[at : at + batch.num_rows] for values in own.values()]))
            at += batch.num_rows


class FlowExporter:
    """Exports with the same options each time.

    Args:
        include_features: Also features.
        flatten_features: Dictionaries, and so JSON, are flat: see :func:`to_list_of_dicts`.
    """

    def __init__(self, include_features: bool = True, flatten_features: bool = False) -> None:
        self.include_features = include_features
        self.flatten_features = flatten_features

    def to_dataframe(self, flows: Iterable[Flow]) -> pandas.DataFrame:
        """As :func:`to_dataframe`."""
        return to_dataframe(flows, self.include_features)

    def to_dict(self, flows: Iterable[Flow]) -> list[dict[str, Any]]:
        """As :func:`to_dict` or :func:`to_list_of_dicts`."""
        if self.include_features and self.flatten_features:
            return to_list_of_dicts(flows, flatten_features=True)
        return to_dict(flows, self.include_features)

    def to_json(self, flows: Iterable[Flow], path: str | os.PathLike[str], indent: int | None = 2) -> None:
        """Writes the dictionaries as an array."""
        _write_json(self.to_dict(flows), path, indent)

    def to_csv(self, flows: Iterable[Flow], path: str | os.PathLike[str]) -> None:
        """As :func:`to_csv`."""
        to_csv(flows, path, self.include_features)

    def to_parquet(self, flows: Iterable[Flow], path: str | os.PathLike[str]) -> None:
        """Writes Parquet; ``tls``, ``http`` and ``dns`` are text as in CSV.

        Raises:
            OptionError: A feature of one's own has values of several kinds.
        """
        pa = need("pyarrow", "to_parquet")
        parquet = need("pyarrow.parquet", "to_parquet")
        flows = _flows(flows)
        table = _table(flows, self.include_features)
        for name, cells in (_own(flows) if self.include_features else {}).items():
            try:
                table = table.append_column(name, pa.array(cells))
            except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
                raise OptionError(f"{name}: its values have no kind in common, and a column of Parquet has one; {error}") from error
        parquet.write_table(table, os.fspath(path))

    def save(self, flows: Iterable[Flow], path: str | os.PathLike[str]) -> None:
        """Writes the format that the file's name ends in.

        Raises:
            OptionError: It ends in none of ``.csv``, ``.json`` and ``.parquet``; it is a ``ValueError`` too.
        """
        writers = {".csv": self.to_csv, ".json": self.to_json, ".parquet": self.to_parquet}
        write = writers.get(Path(path).suffix.lower())
        if write is None:
            raise OptionError(f"{os.fspath(path)}: the name says no format; it ends in one of {', '.join(writers)}")
        write(flows, path)


@lru_cache(1 << 14)
def _spoken(cell: str) -> dict[str, Any]:
    found: dict[str, Any] = ast.literal_eval(cell)
    return found


def spoken(cell: str) -> dict[str, Any]:
    """What a cell of ``tls``, ``http`` or ``dns`` says."""
    return {name: list(value) if isinstance(value, list) else value for name, value in _spoken(cell).items()}


def _flows(flows: Iterable[Flow]) -> list[Flow]:
    """Flows as a list; anything else among them is told."""
    some = flows if isinstance(flows, list) else list(flows)
    for kind in set(map(type, some)):
        if not issubclass(kind, Flow):
            raise TypeError(f"flows are exported, not {kind.__name__}; of analyze_directory, each value: to_csv(found['a.pcap'], ...)")
    return some


def _table(flows: list[Flow], include_features: bool) -> Any:
    """Rows of flows as one table of the dialect's columns."""
    pa = need("pyarrow", "the export of flows")
    # In the order of their first flows. None of this is a loop of Python's where it is about all flows.
    parts = list(dict.fromkeys(map(_part, flows)))
    if not parts:
        table = Pass(os.devnull, {}, {}, None).empty()
        return table.select(_names(table.schema.names, include_features))
    batches = [part.batch.select(_names(part.batch.schema.names, include_features)) for part in parts]
    # Some may come without statistics; beside others they have them, by the same formulas.
    if include_features and len({batch.num_columns for batch in batches}) > 1:
        batches = [_with_statistics(batch, part, pa) for batch, part in zip(batches, parts, strict=True)]
    tables = [pa.Table.from_batches(list(alike)) for _, alike in groupby(batches, key=attrgetter("schema"))]
    table = pa.concat_tables(tables, promote_options="default").replace_schema_metadata(_said_by_all(batches))
    sizes = [batch.num_rows for batch in batches]
    whole = list(map(_row, flows)) == list(chain.from_iterable(map(range, sizes)))
    if whole and list(map(_part, flows)) == list(chain.from_iterable(map(repeat, parts, sizes))):
        return table
    starts = dict(zip(parts, accumulate(sizes[:-1], initial=0), strict=True))
    first = first_alike(table)
    taken = table.select(different(first)).take(pa.array([starts[flow._part] + flow._row for flow in flows]))
    return pa.Table.from_arrays([taken.column(of) for of in first.values()], schema=table.schema)


def _said_by_all(batches: list[Any]) -> dict[bytes, bytes]:
    """What batches say of themselves, as far as all say the same: analyzers may have had other options."""
    first, *others = (batch.schema.metadata or {} for batch in batches)
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


def _with_statistics(batch: Any, part: Part, pa: Any) -> Any:
    """A batch with columns of statistics behind its own, if it has none."""
    if f"feature.{next(iter(BLOCKS))}.{ENGINE[0]}" in part.names:
        return batch
    found = [Flow(part, row).stats for row in range(batch.num_rows)]
    whole = Pass(os.devnull, {}, {}, None).empty().schema
    columns = {name: batch.column(name) for name in batch.schema.names}
    for block in BLOCKS:
        for name in ENGINE:
            field = whole.field(f"feature.{block}.{name}")
            columns[field.name] = pa.array([stats.get(block, {}).get(name) for stats in found], field.type)
    fields = [whole.field(name) for name in whole.names if name in columns]
    return pa.record_batch([columns[field.name] for field in fields], schema=pa.schema(fields, whole.metadata))


def _names(names: list[str], include_features: bool) -> list[str]:
    """The dialect's columns, in its order."""
    return [name for name in names if name not in _MORE] if include_features else BASE + SPOKEN


def _own(flows: list[Flow]) -> dict[str, list[Any]]:
    """Features of one's own as columns; nothing where a flow has none of that name."""
    names = {name: None for part in dict.fromkeys(map(_part, flows)) for name in registered(part.features)}
    for flow in flows if names else []:
        names |= dict.fromkeys(flow.feature_values)
    return {f"feature.{name}": [flow.feature_values.get(name) for flow in flows] for name in names}


def _dicts(flows: Iterable[Flow], include_features: bool) -> Iterator[dict[str, Any]]:
    for flow in _flows(flows):
        found = flow.to_dict()
        if include_features:
            found["features"] = flow.features.to_dict() | flow.feature_values
        yield found


def _flat(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {name: value}
    return {inner: cell for key, part in value.items() for inner, cell in _flat(f"{name}.{key}", part).items()}


def _write_json(flows: Iterable[dict[str, Any]], path: str | os.PathLike[str], indent: int | None) -> None:
    """An array as ``json.dump`` writes it, but one flow at a time."""
    space = "\n" + " " * indent if indent is not None else ""
    between = "," + (space or " ")
    with open(path, "w", encoding="utf-8") as file:
        before = "[" + space
        for flow in flows:
            said = json.dumps(flow, indent=indent, default=_plain)
            file.write(before + (said.replace("\n", space) if space else said))
            before = between
        file.write("[]" if before.startswith("[") else ("\n]" if space else "]"))


def _plain(value: Any) -> Any:
    """Arrays as lists, and else what a value looks like, as the original writes it."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
