"""The log is lines for people or JSON, with ids and without what others put into exceptions."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import Any

import pytest

from syncauth.errors import StorageError
from syncauth.server.operations.ids import Ids, name_user, working_for
from syncauth.server.operations.logs import JsonLines, TextLines, fields

IDS = Ids("request", "socket")
SECRET = "very secret"


def record(message: str, *values: object, error: BaseException | None = None) -> logging.LogRecord:
    """Return a line as a logger makes it."""
    info = None if error is None else (type(error), error, error.__traceback__)
    return logging.LogRecord("syncauth.test", logging.ERROR, "file.py", 1, message, values, info)


def raised(*, ours: bool = False) -> BaseException:
    """Return an exception with a place, caused by another one."""
    try:
        fail(ours=ours)
    except (ValueError, StorageError) as error:
        return error
    raise AssertionError


def fail(*, ours: bool) -> None:
    """Raise one of ours, or one that repeats a secret."""
    try:
        dict[str, str]()[SECRET]
    except KeyError as cause:
        if ours:
            raise StorageError("the file is gone", path="server.db") from cause
        raise ValueError(SECRET) from cause


def as_json(line: logging.LogRecord) -> dict[str, Any]:
    """Format and read a line."""
    text = JsonLines().format(line)
    assert "\n" not in text
    content: dict[str, Any] = json.loads(text)
    return content


def test_a_json_line_has_its_ids_and_fields() -> None:
    """Time, level, logger, message, the ids that are known, and the values given apart."""
    line = record("%d of %s", 3, "x")
    line.__dict__.update(fields(status=200, reason=None, level="forged"))
    with working_for(IDS):
        name_user("ann", "session")
        content = as_json(line)

    time = content.pop("time")
    assert time.endswith("+00:00")
    assert content == {
        "level": "error",
        "logger": "syncauth.test",
        "message": "3 of x",
        "request_id": "request",
        "connection_id": "socket",
        "user_id": "ann",
        "session_id": "session",
        "status": 200,
    }


def test_exceptions_are_told_by_kind_and_place() -> None:
    """The text of another's exception is not shown, one of ours is, and both have their causes (I10)."""
    foreign, ours = (
        as_json(record("failed", error=raised())),
        as_json(record("failed", error=raised(ours=True))),
    )

    assert SECRET not in json.dumps([foreign, ours])
    assert [each["type"] for each in foreign["error"]] == ["ValueError", "KeyError"]
    assert [each["type"] for each in ours["error"]] == ["StorageError", "KeyError"]
    assert "the file is gone" in ours["error"][0]["text"]
    assert all(each["where"][-1].endswith(" fail") for each in foreign["error"])


def test_text_lines_are_for_people() -> None:
    """The ids stand at the end of the line; further lines are indented, so that none can be forged."""
    with working_for(IDS):
        text = TextLines().format(record("first\nERROR forged", error=raised()))

    head, *others = text.splitlines()
    assert head.endswith("ERROR syncauth.test first")
    assert others[0] == "    ERROR forged [request_id=request connection_id=socket]"
    assert all(line.startswith("    ") for line in others)
    assert SECRET not in text


@pytest.mark.parametrize("form", [JsonLines(), TextLines()])
def test_a_line_that_cannot_be_put_together_is_not_lost(form: logging.Formatter) -> None:
    """A line of a library with wrong values is shown as it is, and says so."""
    text = form.format(record("%d rows", "many"))

    assert "%d rows" in text
    assert "TypeError" in text


def test_values_that_are_no_json_are_named_by_kind() -> None:
    """A value that JSON does not have cannot break a line, nor show itself."""
    line = record("x")
    line.__dict__.update(fields(value=Ids(SECRET)))

    assert as_json(line)["value"] == "<Ids>"


def test_a_process_writes_nothing_else() -> None:
    """After the set-up all loggers write in the one format, those of other libraries too."""
    program = (
        "import logging; from syncauth.server.operations.logs import set_up_logs;"
        "logging.basicConfig(); set_up_logs('info', 'json');"
        "logging.getLogger('uvicorn.error').warning('of another'); logging.info('root')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert [json.loads(line)["message"] for line in done.stderr.splitlines()] == [
        "of another",
        "root",
    ]
