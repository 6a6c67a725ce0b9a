"""Groups, scan summaries, flows and buckets as tables."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, Unpack

from . import _core
from .errors import Error
from .needs import need
from .options import BucketOptions, FlowOptions, GroupOptions, Path, path, prepared, takes
from .progress import Report, reporter

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

_T = TypeVar("_T")


class Column(NamedTuple):
    """A column of a table."""

    name: str
    #: Its type in Arrow.
    type: str
    unit: str | None
    meaning: str | None


class Problem(NamedTuple):
    """An input, or a part of one, that could not be read, or is not what it should be (:class:`DamageWarning`)."""

    path: str | None
    #: The byte from which on nothing was read, if that is known.
    offset: int | None
    message: str


class _Stream:
    """A stream to be taken once."""

    def __init__(self, capsule: object) -> None:
        self._capsule = capsule

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._capsule


class Table:
    """The records of a product, as columns or as rows.

    It is a question, not an answer: nothing is read before rows are taken, and each taking is a pass over the captures that streams, so
    memory does not grow with them. ``to_arrow``, ``to_pandas`` and ``to_polars`` hold all rows, as their names say. Whatever takes
    Arrow's C stream (pyarrow, Polars, pandas, DuckDB) takes a table as it is, without a copy; iteration gives a dictionary a row.
    """

    _name: str
    _inputs: tuple[Path, ...]
    _options: dict[str, Any]
    _query: _core.Query
    _progress: bool | Report | None

    def __init__(
        self, product: str, inputs: tuple[Path, ...], kind: type, options: dict[str, Any], groups: Table | None = None
    ) -> None:
        self._name = f"{product}_table"
        self._inputs = inputs
        self._options = options
        asked = prepared(self._name, kind, options)
        paths = [path("input", each) for each in inputs]
        self._query = _core.Query(product, paths, asked, None if groups is None else groups._query)
        self._progress = options.get("progress")
        reporter(self._progress)

    @property
    def schema(self) -> tuple[Column, ...]:
        """The columns with their types, units and meanings."""
        return tuple(Column(*column) for column in self._query.columns)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.schema)

    @property
    def metrics(self) -> dict[str, Any] | None:
        """What the last pass counted, the ledger of all packets and each file's state; ``None`` if there was none yet.

        Of one that ended early, by an exception, Ctrl-C, or a loop or a reader that was left, it is the ledger of what had been read, and
        ``complete`` is ``False``.
        """
        line = self._query.metrics
        return None if line is None else json.loads(line)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What the last whole pass could not read, and what it found wrong; it warned of each (:class:`DamageWarning`)."""
        return tuple(Problem(*problem) for problem in self._query.problems)

    def __arrow_c_schema__(self) -> object:
        return self._query.schema()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._query.stream(reporter(self._progress), alone=True)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Rows as the JSON Lines of the command line have them: times are numbers, as ``times`` says."""
        rows = self._query.rows(reporter(self._progress))
        try:
            while (some := rows.more()) is not None:
                yield from some
        finally:
            rows.stop()

    def to_arrow(self) -> pyarrow.Table:
        """All rows as a table of pyarrow."""
        return self._arrow("to_arrow", "arrow")

    def to_pandas(self, **options: Any) -> pandas.DataFrame:
        """All rows as a frame of pandas; ``options`` are those of ``pyarrow.Table.to_pandas``."""
        # Before the captures are read, as pyarrow would say it behind them.
        need("pandas", "to_pandas", "pandas")
        frame: pandas.DataFrame = self._arrow("to_pandas", "pandas").to_pandas(**options)
        return frame

    def to_polars(self) -> polars.DataFrame:
        """All rows as a frame of Polars."""
        frame: polars.DataFrame = self._taken(need("polars", "to_polars", "polars").DataFrame)
        return frame

    def batches(self) -> Generator[pyarrow.RecordBatch, None, None]:
        """Rows as record batches of pyarrow, as they come."""
        reader = self._taken(need("pyarrow", "batches", "arrow").RecordBatchReader.from_stream)
        try:
            while (batch := self._told(lambda: next(reader, None))) is not None:
                yield batch
        finally:
            # What an exception's traceback holds is over all the same.
            reader.close()

    def _arrow(self, what: str, extra: str) -> pyarrow.Table:
        """All rows, for ``what``, which an extra of the package is for."""
        table: pyarrow.Table = self._taken(need("pyarrow", what, extra).table)
        return table

    def _taken(self, take: Callable[[Any], _T]) -> _T:
        return self._told(lambda: take(_Stream(self._query.stream(reporter(self._progress), alone=False))))

    def _told(self, work: Callable[[], _T]) -> _T:
        try:
            return work()
        except Exception as error:
            # Libraries tell the text alone.
            failure = self._query.failure
            if failure is None or isinstance(error, Error):
                raise
            raise failure from None

    def __repr__(self) -> str:
        asked = [repr(os.fsdecode(path)) for path in self._inputs]
        asked += [f"{name}={value!r}" for name, value in self._options.items()]
        metrics = self.metrics
        if metrics is None:
            state = "not read yet"
        elif "files" not in metrics:
            state = f"ended early, {metrics['ledger']['read']['packets']:,} packets read"
        else:
            packets, files = metrics["ledger"]["read"]["packets"], len(metrics["files"])
            state = f"{packets:,} packets of {files} file{'s' if files != 1 else ''} read"
            state += f", {len(self.problems)} with problems" if self.problems else ""
        names = ", ".join(self.columns[:6])
        return f"<{self._name}({', '.join(asked)}): {len(self.columns)} columns ({names}, ...), {state}>"


class GroupsTable(Table):
    """Groups; :attr:`scans` has the summaries of what they leave out.

    Groups of a window come when it is over: as the first file that begins behind it is read, or, with ``lateness``, by the packets themselves. So one
    capture without ``lateness`` gives them at its end, and memory follows the groups of a window. A pass holds all of its scan summaries, of which there is one for each source that scanned in an hour, until the next one begins.
    """

    @property
    def scans(self) -> ScansTable:
        """Scan summaries of the same captures: those of the last whole pass, if there was one, else of a pass of their own."""
        return ScansTable("scans", self._inputs, GroupOptions, self._options, self)


class ScansTable(Table):
    """Scan summaries."""


@takes(GroupOptions)
def groups_table(*inputs: Path, **options: Unpack[GroupOptions]) -> GroupsTable:
    """Flow groups by hour, as ``pcap-compactor compact`` has them.

    Args:
        inputs: Captures (pcap, pcapng, also inside gzip or zstd) or folders.
        options: See :class:`GroupOptions`.

    Raises:
        OptionError: An option has a value that is not taken.
        InputError: There is nothing to read; or, when rows are taken, none of the inputs is a capture.
    """
    return GroupsTable("groups", inputs, GroupOptions, dict(options))


@takes(GroupOptions)
def scans_table(*inputs: Path, **options: Unpack[GroupOptions]) -> ScansTable:
    """Scan summaries; as :func:`groups_table`, which has them too, by its ``scans``."""
    return ScansTable("scans", inputs, GroupOptions, dict(options))


@takes(FlowOptions)
def flows_table(*inputs: Path, **options: Unpack[FlowOptions]) -> Table:
    """Flows with their features, as ``pcap-compactor flows`` has them; as :func:`groups_table`, with :class:`FlowOptions`."""
    return Table("flows", inputs, FlowOptions, dict(options))


@takes(BucketOptions)
def buckets_table(*inputs: Path, **options: Unpack[BucketOptions]) -> Table:
    """Stretches of time, as ``pcap-compactor buckets`` has them; as :func:`groups_table`, with :class:`BucketOptions`."""
    return Table("buckets", inputs, BucketOptions, dict(options))
