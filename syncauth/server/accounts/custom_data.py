"""
Custom user data: what access tokens carry as `user_data`, looked up anew for each of them.

Three sources, the first that there is: the team's function, the SQL of `[custom_data]`, what the store holds for the
user. The data is plain JSON, readable by whoever holds the token. This module must never change data, and never let
a failure pass for "no data".
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Found:
    """What was found for a user; None if there is nothing."""

    data: dict[str, Any] | None


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
        found = await self.ask(user_id)
        if found is None and self._query is not None:
            found = await self._thread.run(self._read, self._query, user_id)
        return found.data if isinstance(found, Found) else found or stored

    async def ask(self, user_id: str) -> Found | Denied | None:
        """Ask the team's function; None if there is none, and the store thread finds the data itself."""
        if self._function is None:
            return None
        try:
            return _checked(await self._runner.call(self._function, user_id))
        except ServerBusy as busy:
            return too_many(busy.retry_after or 1)
        except Exception as error:  # noqa: BLE001 - whatever the team's code raises
            return _failed(error)

    def read_all(self, user_ids: Sequence[str]) -> list[Found | Denied | None]:
        """Look users up with the query, in the store thread; None for those whose data the store holds."""
        if self._query is None:
            return [None] * len(user_ids)
        return [self._read(self._query, user_id) for user_id in user_ids]

    @staticmethod
    def _read(query: Query, user_id: str) -> Found | Denied:
        try:
            return _checked(query(user_id))
        except Exception as error:  # noqa: BLE001 - whatever the team's SQL fails of
            return _failed(error)


def _checked(found: object) -> Found | Denied:
    """Return what was found if a token can carry it.

    Raises:
        Exception: it is nothing that JSON can hold.
    """
    if found is None:
        return Found(None)
    text = msgspec.json.encode(found)
    if not isinstance(found, Mapping) or len(text) > LARGEST:
        LOGGER.error("the custom data of a user is no object of at most %d bytes", LARGEST)
        return FAILED
    return Found(dict(found))


def _failed(error: Exception) -> Denied:
    # Its kind alone: the text may hold anything.
    LOGGER.error("the custom data of a user cannot be had: %s", type(error).__name__)
    return FAILED


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
