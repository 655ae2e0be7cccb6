"""
Custom user data: what access tokens carry as `user_data`, looked up anew for each of them.

Three sources, the first that there is: the team's function, the SQL of `[custom_data]`, what the store holds for the
user. The data is plain JSON, readable by whoever holds the token. This module must never change data, and never let
a failure pass for "no data".
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from syncauth.errors import InvalidConfig, ServerBusy
from syncauth.server.accounts.answers import Denied, too_many
from syncauth.server.stores.thread import StoreThread
from syncauth.server.team.runner import Runner

LOGGER: Final = logging.getLogger("syncauth.server.accounts.custom_data")
FAILED: Final = Denied(500, "InternalServerError", "internal server error")

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

    async def of(
        self, user_id: str, stored: dict[str, Any] | None
    ) -> dict[str, Any] | Denied | None:
        """Return the user's data now, or why it cannot be had; `stored` is what the store holds."""
        if self._function is None and self._query is None:
            return stored
        try:
            found = await self._look_up(user_id)
            if found is None:
                return None
            text = msgspec.json.encode(found)
        except ServerBusy as busy:
            return too_many(busy.retry_after or 1)
        except Exception as error:  # noqa: BLE001 - whatever the team's code raises
            # Its kind alone: the text may hold anything.
            LOGGER.error("the custom data of a user cannot be had: %s", type(error).__name__)  # noqa: TRY400
            return FAILED
        if not isinstance(found, Mapping) or len(text) > LARGEST:
            LOGGER.error("the custom data of a user is no object of at most %d bytes", LARGEST)
            return FAILED
        return dict(found)

    async def _look_up(self, user_id: str) -> Any:
        if self._function is not None:
            return await self._runner.call(self._function, user_id)
        if self._query is not None:
            return await self._thread.run(self._query, user_id)
        return None


def prepare_query(connection: sqlite3.Connection, sql: str) -> Query:
    """Try the SQL once, and return it as a call by user id; both in the store thread.

    Raises:
        InvalidConfig: it is no query that can be run.
    """

    def look_up(user_id: str) -> dict[str, Any] | None:
        # No matter how it is written, it changes nothing.
        connection.execute("PRAGMA query_only = ON")
        try:
            cursor = connection.execute(sql, {"user_id": user_id})
            names = [column[0] for column in cursor.description]
            rows = cursor.fetchall()
        finally:
            connection.execute("PRAGMA query_only = OFF")
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
