"""
What a call of the hub to the stores is: each a method of the row store or of the account store.

Calls run where the stores live and block. This module decides nothing, and must never know who
carries calls out, or when.
"""

from __future__ import annotations

from syncauth.server.hub import inputs
from syncauth.server.hub.effects import (
    CheckSessions,
    ForgetResults,
    Greet,
    PushBatch,
    ReadPage,
    ReadPermissions,
    StoreCall,
)
from syncauth.server.stores.interface import AccountStore
from syncauth.server.stores.rows_interface import Greeting, Problem, RowStore, SessionOver


class StoreCalls:
    """Answers the hub's calls from two stores; to be used in the store thread only."""

    def __init__(self, rows: RowStore, accounts: AccountStore) -> None:
        """Take the stores."""
        self._rows = rows
        self._accounts = accounts

    def answer(self, call: StoreCall, *, new_device: str, now: float) -> inputs.StoreAnswer:
        """Make the call and return its answer; `new_device` is a fresh id, for a greeting."""
        rows = self._rows
        match call:
            case Greet(socket):
                return inputs.Greeted(socket, self._greet(call, new_device, now))
            case PushBatch(socket, user_id, session_id, device, tables, received, push, order):
                judged = rows.push(
                    user_id,
                    session_id,
                    device,
                    tables,
                    batch=push.batch,
                    acked=push.acked,
                    sections=bytes(push.sections),
                    received=received,
                    now=now,
                )
                return inputs.BatchJudged(socket, judged, order)
            case ReadPage(socket, device, tables, cursors, compared, limits):
                page = rows.page(device, tables, cursors, limits, compared=compared)
                return inputs.PageRead(socket, page)
            case ForgetResults(socket, device, acked):
                rows.received(device, acked)
                return inputs.ResultsForgotten(socket)
            case ReadPermissions(socket, user_id):
                return inputs.PermissionsRead(socket, rows.permissions(user_id))
            case CheckSessions(session_ids):
                return inputs.SessionsChecked(self._accounts.inactive_sessions(session_ids, now))

    def _greet(self, call: Greet, new_device: str, now: float) -> Greeting | SessionOver | Problem:
        problem = self._rows.check_shapes(call.hello.tables)
        if problem is not None:
            return problem
        return self._rows.greet(
            call.user_id, call.session_id, call.hello, new_device=new_device, now=now
        )
