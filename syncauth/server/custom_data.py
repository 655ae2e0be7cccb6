"""
Custom user data: what access tokens carry as `user_data`, looked up anew for each of them.

Three sources, the first that there is: the team's function, the SQL of `[custom_data]`, what the store holds for the
user. The data is plain JSON, readable by whoever holds the token. This module must never change data, and never let
a failure pass for "no data".
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from syncauth.errors import InvalidConfig, UnexpectedAnswer
from syncauth.server.runner import Runner
from syncauth.server.stores.thread import StoreThread

LARGEST: Final = 8_000
"""Bytes of JSON; it travels in a header with every call."""

WHOLE: Final = "user_data"
"""A query with this one column gives the whole data as the text of a JSON object."""

Query = Callable[[str], dict[str, Any] | None]


class CustomData:
    """The source of custom data of one server."""

    def __init__(
        self,
        *,
        function: Callable[..., Any] | None,
        query: Query | None,
        runner: Runner,
        thread: StoreThread,
    ) -> None:
        """Take the team's function, or a query that is made in `thread`, or neither."""
        self._function = function
        self._query = query
        self._runner = runner
        self._thread = thread

    async def of(self, user_id: str, stored: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return the user's data now; `stored` is what the store holds.

        Raises:
            UnexpectedAnswer: what was found is no JSON object of at most `LARGEST` bytes.
            Exception: whatever the function or the query raises.
        """
        if self._function is not None:
            found = await self._runner.call(self._function, user_id)
        elif self._query is not None:
            found = await self._thread.run(self._query, user_id)
        else:
            return stored
        if found is None:
            return None
        try:
            text = msgspec.json.encode(found)
        except (TypeError, msgspec.MsgspecError) as error:
            raise _unusable(f"it holds what JSON cannot: {type(error).__name__}") from None
        if not isinstance(found, Mapping) or len(text) > LARGEST:
            raise _unusable(f"it is no object of at most {LARGEST} bytes")
        return dict(found)


def prepare_query(connection: sqlite3.Connection, sql: str) -> Query:
    """Try the SQL once, and return it as a call by user id; both in the store thread.

    Raises:
        InvalidConfig: it is no query that can be run.
    """

    def look_up(user_id: str) -> dict[str, Any] | None:
        cursor = connection.execute(sql, {"user_id": user_id})
        names = [column[0] for column in cursor.description]
        rows = cursor.fetchall()
        if not rows:
            return None
        if names == [WHOLE]:
            return (
                None if rows[0][0] is None else msgspec.json.decode(rows[0][0], type=dict[str, Any])
            )
        return dict(zip(names, rows[0], strict=True))

    if not sql.lstrip().upper().startswith(("SELECT", "WITH", "VALUES")):
        raise _refused("it is no SELECT")
    try:
        look_up("")
    except (sqlite3.Error, msgspec.MsgspecError) as error:
        raise _refused(str(error)) from error
    return look_up


def _refused(why: str) -> InvalidConfig:
    return InvalidConfig(
        "the query of the custom data cannot be run",
        setting="custom_data.query",
        why=why,
        remedy="Give one SELECT over :user_id with a row for each user",
    )


def _unusable(why: str) -> UnexpectedAnswer:
    what = "the custom data of a user cannot be used"
    return UnexpectedAnswer(what, status=500, why=why, remedy="Correct [custom_data] or its hook")
