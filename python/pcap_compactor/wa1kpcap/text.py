"""Columns as lines of CSV: numbers, lists and text in Python's notation, by Arrow's kernels, a batch at a time.

Cells that are missing are empty. What has a comma, a quotation mark or an end of line stands in quotation marks, as the ``csv`` module has it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..needs import need

if TYPE_CHECKING:
    import pyarrow


def line(cells: Iterable[object]) -> str:
    """A line of cells of any kind."""
    return ",".join(map(cell, cells)) + "\n"


def cell(value: object) -> str:
    """A cell of any kind."""
    if value is None:
        return ""
    text = str(value)
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\n\r') else text


def lines(batch: pyarrow.RecordBatch, behind: list[list[object]]) -> Any:
    """The bytes of a batch's lines; cells of more columns stand behind its own."""
    pa, pc = _arrow()
    cells = [_cells(column) for column in batch.columns]
    cells += [pa.array([cell(value) for value in values], pa.large_string()) for values in behind]
    rows = pc.binary_join_element_wise(*cells, _word(","), null_handling="replace", null_replacement="")
    # What was made just now begins where its buffer does.
    _, _, data = _joined(rows, "\n").buffers()
    return data if data is not None else b""


def _arrow() -> tuple[Any, Any]:
    return need("pyarrow", "to_csv"), need("pyarrow.compute", "to_csv")


def _word(text: str) -> Any:
    pa, _ = _arrow()
    return pa.scalar(text, pa.large_string())


def _joined(*parts: Any) -> Any:
    """Texts, and columns of them, one behind another."""
    _, pc = _arrow()
    return pc.binary_join_element_wise(*(_word(part) if isinstance(part, str) else part for part in parts), _word(""))


def _cells(column: Any) -> Any:
    pa, pc = _arrow()
    if pa.types.is_null(column.type):
        return column.cast(pa.large_string())
    if not pa.types.is_list(column.type):
        text = _text(column)
        if not pa.types.is_string(column.type):
            return text
        quoted = _joined('"', pc.replace_substring(text, '"', '""'), '"')
        return pc.if_else(pc.match_substring_regex(text, '[,"\n\r]'), quoted, text)
    items = _text(column.flatten())
    if pa.types.is_string(column.type.value_type):
        # Names of protocols, which have nothing to be escaped.
        items = _joined("'", items, "'")
    starts = pc.subtract(column.offsets, column.offsets[0]).cast(pa.int64())
    listed = _joined("[", pc.binary_join(pa.LargeListArray.from_arrays(starts, items), _word(", ")), "]")
    cells = pc.if_else(pc.greater(pc.list_value_length(column), 1), _joined('"', listed, '"'), listed)
    return pc.if_else(column.is_valid(), cells, pa.scalar(None, pa.large_string()))


def _text(values: Any) -> Any:
    """Values as Python writes them, not in quotation marks."""
    pa, pc = _arrow()
    if not pa.types.is_floating(values.type):
        return values.cast(pa.large_string())
    different = values.dictionary_encode()
    # Writing a number costs more than finding out that it was written.
    if 2 * len(different.dictionary) < len(values):
        return pc.take(_floats(different.dictionary), different.indices)
    return _floats(values)


def _floats(values: Any) -> Any:
    """As Python writes them: Arrow has the same digits, and other rules for the point and the exponent."""
    pa, pc = _arrow()
    text = values.cast(pa.large_string())
    size = pc.abs(values)
    # A zero is no matter of rules.
    small = pc.and_(pc.less(size, 1e-4), pc.greater(size, 0.0))
    apart = pc.fill_null(pc.or_(small, pc.greater_equal(size, 1e15)), False)
    text = pc.if_else(pc.equal(values, pc.floor(values)), _joined(text, ".0"), text)
    return pc.replace_with_mask(text, apart, pa.array(map(repr, values.filter(apart).to_pylist()), pa.large_string()))
