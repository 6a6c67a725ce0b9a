"""The compiled part."""

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

version: str

class Query:
    columns: list[tuple[str, str, str | None, str | None]]
    metrics: str | None
    problems: list[tuple[str | None, int | None, str]]
    failure: BaseException | None
    def __init__(
        self, product: str, inputs: Sequence[str], options: dict[str, Any], groups: Query | None
    ) -> None: ...
    def schema(self) -> object: ...
    def stream(self, report: Callable[[int, int, int, bool], object] | None, alone: bool) -> object: ...
    def rows(self, report: Callable[[int, int, int, bool], object] | None) -> RowPass: ...

class RowPass:
    def more(self) -> list[dict[str, Any]] | None: ...
    def stop(self) -> None: ...

def default_config() -> str: ...
def check_config(json: str) -> None: ...
def load_config(path: str) -> str: ...
def segments(root: str | PathLike[str], sensors: list[str], start: int, end: int) -> list[tuple[str, Path]]: ...
def run_hour(
    paths: list[str],
    sink: object,
    config: str,
    start: int,
    end: int,
    options: dict[str, Any],
    report: Callable[[int, int, int, bool], object] | None,
) -> None: ...
