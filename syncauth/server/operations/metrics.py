"""
What a server counts and measures, for Prometheus; the one door to `prometheus_client`.

Every server has a registry of its own. What stands in a queue or is open is asked for when the metrics are read; all
else is counted where it happens, in any thread. Labels are few by construction: templates of routes, statuses, codes.
This module must never make a label of a path, a name, an address or an id.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from syncauth.sansio.messages import Changes, ServerMessage
from syncauth.server.operations.ids import Refusal
from syncauth.server.stores.rows_interface import (
    Judged,
    OutOfOrder,
    Page,
    Problem,
    SessionOver,
)

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET"}
)
CODE: Final = re.compile(r"[A-Za-z_]{1,40}")
LOGIN: Final = re.compile(r"/auth/providers/([^/]+)/login$")
REFRESH: Final = ("POST", "/api/client/v2.0/auth/session")
REQUEST_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
STORE_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
UNKNOWN_ROUTE: Final = "unknown"


class Metrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        """Begin with nothing counted."""
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._of_http()
        self._of_sync()
        self._of_parts()

    def text(self) -> bytes:
        """Return all of them in the text format of Prometheus."""
        return generate_latest(self._registry)

    # --- HTTP ------------------------------------------------------------------------------------

    def _of_http(self) -> None:
        labels = ("method", "route")
        self._requests = self._counter(
            "http_requests", "Requests and upgrades that were answered.", *labels, "status"
        )
        self._seconds = self._histogram(
            "http_request_seconds", "How long answers took.", REQUEST_SECONDS, *labels
        )
        self._logins = self._counter("logins", "Logins and links.", "provider", "outcome")
        self._refreshes = self._counter("refreshes", "Refreshes of tokens.", "outcome")
        self._limited = self._counter(
            "rate_limited", "Requests that were asked for patience (429).", "route"
        )

    def answered(
        self, method: str, route: str, status: int, seconds: float, refusal: Refusal | None
    ) -> None:
        """Count a request by the template of its route; of a socket that was opened no time is taken."""
        method = method if method in METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        if status != 101:  # noqa: PLR2004 - a socket that was opened
            self._seconds.labels(method, route).observe(seconds)
        outcome = _outcome(status, refusal)
        if status == 429:  # noqa: PLR2004 - too many requests
            self._limited.labels(route).inc()
        if (login := LOGIN.search(route)) is not None:
            provider = login[1] if "{" not in login[1] else UNKNOWN_ROUTE
            self._logins.labels(provider, outcome).inc()
        elif method == REFRESH[0] and route == REFRESH[1]:
            self._refreshes.labels(outcome).inc()

    # --- the sync sockets ------------------------------------------------------------------------

    def _of_sync(self) -> None:
        self._revoked = self._counter("sessions_revoked", "Sessions that this process ended.")
        self._closed = self._counter("sockets_closed", "Sockets that the hub ended.", "code")
        self._batches = self._counter("batches", "Batches by what became of them.", "outcome")
        self._changes = self._counter("changes", "Changes of judged batches.", "outcome")
        self._judging = self._histogram("batch_seconds", "How long judging took.", STORE_SECONDS)
        self._pages = self._counter("pages_sent", "Pages that were sent.")
        self._rows = self._counter("page_rows_sent", "Rows of the pages that were sent.")

    def revoked(self, sessions: int) -> None:
        """Count sessions that were ended here."""
        self._revoked.inc(sessions)

    def closed(self, code: str) -> None:
        """Count a socket that the hub ended, by its code of the catalogue."""
        self._closed.labels(_code(code)).inc()

    def judged(self, answer: Judged | OutOfOrder | SessionOver | Problem, seconds: float) -> None:
        """Count a batch and its changes; one that had been judged before is `repeated`."""
        self._judging.observe(seconds)
        if isinstance(answer, Judged):
            outcome = "judged" if answer.changes else "repeated"
            refused = len(answer.result.refused)
            superseded = len(answer.result.superseded)
            if answer.changes:
                self._changes.labels("refused").inc(refused)
                self._changes.labels("superseded").inc(superseded)
                self._changes.labels("applied").inc(max(0, answer.changes - refused - superseded))
        elif isinstance(answer, OutOfOrder):
            outcome = "out_of_order"
        elif isinstance(answer, SessionOver):
            outcome = "session_over"
        else:
            outcome = _code(answer.code)
        self._batches.labels(outcome).inc()

    def sent(self, message: ServerMessage, page: Page | None) -> None:
        """Count a message if it is a page; `page` is what the store has just read."""
        if isinstance(message, Changes):
            self._pages.inc()
            if page is not None and message is page.changes:
                self._rows.inc(page.rows)

    # --- the parts -------------------------------------------------------------------------------

    def _of_parts(self) -> None:
        self._waits = self._histogram(
            "store_wait_seconds", "How long work waited for the store's thread.", STORE_SECONDS
        )
        self._commits = self._histogram(
            "store_commit_seconds", "How long commits of the file took.", STORE_SECONDS
        )
        self._calls = self._counter(
            "function_calls", "Calls of the team's code.", "kind", "outcome"
        )
        self._mails = self._counter("mails", "Mails by what became of them.", "outcome")

    def waited(self, seconds: float) -> None:
        """Note how long a piece of work stood in the line of the store thread."""
        self._waits.observe(seconds)

    def committed(self, seconds: float) -> None:
        """Note how long a commit took."""
        self._commits.observe(seconds)

    def called(self, kind: str, outcome: str) -> None:
        """Count a call of a runner, which is `kind`."""
        self._calls.labels(kind, outcome).inc()

    def mailed(self, outcome: str) -> None:
        """Count a mail."""
        self._mails.labels(outcome).inc()

    def watch(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """Have a number asked for whenever the metrics are read."""
        gauge = Gauge(f"syncauth_{name}", meaning, registry=self._registry)
        gauge.set_function(read)

    def watch_by(
        self, name: str, meaning: str, label: str, reads: Mapping[str, Callable[[], float]]
    ) -> None:
        """Have several numbers asked for, each with a value of the label."""
        gauge = Gauge(f"syncauth_{name}", meaning, (label,), registry=self._registry)
        for value, read in reads.items():
            gauge.labels(value).set_function(read)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"syncauth_{name}", meaning, labels, registry=self._registry)

    def _histogram(
        self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(
            f"syncauth_{name}", meaning, labels, buckets=buckets, registry=self._registry
        )


def _outcome(status: int, refusal: Refusal | None) -> str:
    """Return a word for what became of a login or refresh: the reason of its refusal, or its code."""
    if refusal is not None:
        return _code(refusal.reason or refusal.code)
    return "ok" if 200 <= status < 300 else "failed"  # noqa: PLR2004 - the successful ones


def _code(code: str) -> str:
    """Return a code as a label; codes are constants, and what does not look like one is not shown."""
    return code if CODE.fullmatch(code) else "other"
