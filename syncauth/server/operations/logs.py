"""
The log on stderr: lines for people, or one JSON object a line; both with the ids of the present work.

Of an exception its kind and its place are told, and its text only where it is one of ours: ours hold no secret, those
of others may repeat what a row, a header or a mail holds. This module must never ask what a line is about.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, Final, Literal

from syncauth.errors import SyncAuthError
from syncauth.server.operations.ids import CURRENT

LogFormat = Literal["text", "json"]
FORMATS: Final = ("text", "json")
FIELDS: Final = "fields"
"""The key of `extra` under which a line carries values for the JSON object."""

OURS: Final = ("time", "level", "logger", "message", "error")


def fields(**values: object) -> dict[str, object]:
    """Return what `extra=` takes, so that the JSON line has these values beside its message."""
    return {FIELDS: {name: value for name, value in values.items() if value is not None}}


def set_up_logs(level: str, form: LogFormat) -> None:
    """Write all logs of this process to stderr; replaces what was set up before."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


class TextLines(logging.Formatter):
    """Lines for people; the ids stand at the end, and every further line is indented."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the place of an exception below it."""
        ids = " ".join(f"{name}={value}" for name, value in CURRENT.get().told().items())
        line = f"{_when(record)} {record.levelname} {record.name} {_message(record)}"
        lines = [f"{line} [{ids}]" if ids else line]
        for kind, text, frames in _errors(record):
            lines += [f"{kind}: {text}" if text else kind, *frames]
        return "\n    ".join("\n".join(lines).splitlines())


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object; values under `extra=fields(…)` stand in it by their names."""
        content: dict[str, Any] = {
            "time": _when(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
            **CURRENT.get().told(),
        }
        more = getattr(record, FIELDS, {})
        content.update({name: value for name, value in more.items() if name not in OURS})
        errors = [
            {"type": kind, "text": text, "where": frames} for kind, text, frames in _errors(record)
        ]
        if errors:
            content["error"] = errors
        return json.dumps(content, default=_kind)


def _when(record: logging.LogRecord) -> str:
    """Return the time of a line by ISO 8601, in UTC."""
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _message(record: logging.LogRecord) -> str:
    """Return the text; a line of another library that cannot be put together must not be lost."""
    try:
        return record.getMessage().rstrip()
    except Exception as error:  # noqa: BLE001 - whatever a __str__ raises
        return f"{_text(record.msg)} (its values cannot be shown: {type(error).__name__})"


def _text(value: object) -> str:
    return value if isinstance(value, str) else _kind(value)


def _errors(record: logging.LogRecord) -> list[tuple[str, str, list[str]]]:
    """Return the exceptions of a line, the outermost first: kind, text of one of ours, frames."""
    found: list[tuple[str, str, list[str]]] = []
    error = record.exc_info[1] if record.exc_info else None
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        frames = [
            f"{frame.filename}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(error.__traceback__)
        ]
        found.append((type(error).__name__, str(error) if _is_ours(error) else "", frames))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return found


def _is_ours(error: BaseException) -> bool:
    return isinstance(error, SyncAuthError)


def _kind(value: object) -> str:
    return f"<{type(value).__name__}>"
