"""What can go wrong, as one family: everything that this package raises by itself is an :class:`Error`.

What your own code raises, in a sink say, passes as it is, and so does :class:`KeyboardInterrupt`.
"""

from __future__ import annotations

import json
import warnings
from typing import Any


class Error(Exception):
    """Anything that this package says is wrong.

    Attributes:
        path: The file that it is about, if it is about one.
        offset: The byte in that file, if that is known.
        metrics: What had been counted by then, if a run had begun; see ``Table.metrics``.
    """

    path: str | None
    offset: int | None
    metrics: dict[str, Any] | None

    def __init__(self, message: str, *, path: str | None = None, offset: int | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.offset = offset
        self.metrics = None


class OptionError(Error, ValueError):
    """An option has a value that is not taken; the text says which would be."""


class ConfigError(OptionError):
    """Fields of a :class:`~pcap_compactor.PipelineConfig` are unknown or out of their bounds."""

    _title: str
    _errors: list[dict[str, Any]]

    def __init__(self, title: str, errors: list[dict[str, Any]]) -> None:
        lines = [f"{len(errors)} validation error{'s' if len(errors) != 1 else ''} for {title}"]
        for error in errors:
            given = error["input"]
            lines.append(".".join(error["loc"]))
            lines.append(f"  {error['msg']} [input_value={given!r}, input_type={type(given).__name__}]")
        super().__init__("\n".join(lines))
        self._title = title
        self._errors = errors

    def __reduce__(self) -> tuple[Any, ...]:
        # By what it is made of: its one argument is the text.
        return type(self), (self._title, self._errors), self.__dict__

    def errors(self) -> list[dict[str, Any]]:
        """Each error by itself: ``loc`` is the field's name, ``msg`` what is wrong, ``input`` what was given."""
        return [dict(error) for error in self._errors]


class InputError(Error):
    """None of the inputs can be read: it is not there, or is no capture."""


class MissingLibraryError(Error, ImportError):
    """A library is not installed that what was asked for needs; the text has the command that installs it.

    ``name`` is the module that was not found, as :class:`ImportError` has it.
    """

    def __init__(self, message: str, *, name: str | None = None) -> None:
        super().__init__(message)
        self.name = name


class EngineError(Error):
    """The engine stopped early."""


class DamageWarning(UserWarning):
    """An input, or a part of one, could not be read, and the others are finished; or captures do not go together, as those that overlap in
    time, or rules of labels match nothing.

    Attributes:
        path: The file that it is about, if it is about one.
        offset: The byte in that file from which on nothing was read, if that is known.
    """

    def __init__(self, message: str, path: str | None = None, offset: int | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.offset = offset


def note_ledger(error: BaseException, line: str, packets: int) -> None:
    """Gives an exception what a run had counted when it raised that; the engine calls it."""
    error.metrics = json.loads(line)  # type: ignore[attr-defined]
    note = f"{packets} packets had been read; `metrics` of this has their ledger"
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)


def warn(message: str, path: str | None, offset: int | None) -> None:
    """Warns of an input; the engine calls it."""
    warnings.warn(DamageWarning(message, path, offset), stacklevel=2)
