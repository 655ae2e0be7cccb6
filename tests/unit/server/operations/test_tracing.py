"""Spans of requests and batches: where they hang, what they tell, and that they need nobody."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from syncauth.sansio.messages import Checkpoint, Push, PushResult, Section, encode_sections
from syncauth.server.hub import inputs
from syncauth.server.operations.ids import Ids, working_for
from syncauth.server.operations.tracing import OtelTracing
from tests.support.hub_bench import open_bench
from tests.support.hub_story import hello
from tests.support.watched import Watched, scripted

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


class Spans:
    """What was exported."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.provider = provider
        self.tracing = OtelTracing(provider)

    def all(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def only(self) -> ReadableSpan:
        (span,) = self.all()
        return span


@pytest.fixture
def spans() -> Iterator[Spans]:
    """A provider of its own, so that the process's stays as it is."""
    made = Spans()
    yield made
    made.provider.shutdown()


def trace_of(span: ReadableSpan) -> str:
    """Return the id of the span's trace in hexadecimal."""
    return f"{span.context.trace_id:032x}"


def test_a_request_is_a_span_below_its_caller(spans: Spans) -> None:
    """The span has the caller's trace, the route's template, the status and the ids; no path, no secret (I10)."""
    Watched(tracing=spans.tracing).ask(
        "/hello/secret-path",
        traceparent=TRACEPARENT,
        authorization="Bearer secret-token",
        x_request_id="mine",
    )

    span = spans.only()
    assert span.name == "GET /hello/{name}"
    assert trace_of(span) == TRACE
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == PARENT
    assert dict(span.attributes or {}) == {
        "http.request.method": "GET",
        "http.route": "/hello/{name}",
        "http.response.status_code": 200,
        "syncauth.request_id": "mine",
        "syncauth.user_id": "ann",
        "syncauth.session_id": "session",
    }
    assert "secret" not in span.to_json()


@pytest.mark.parametrize("odd", [None, "", "00-0-0-01", f"00-{'0' * 32}-{PARENT}-01"])
def test_without_a_valid_parent_a_request_is_a_trace_of_its_own(
    spans: Spans, odd: str | None
) -> None:
    """A `traceparent` that is missing or not valid is as if there were none."""
    Watched(tracing=spans.tracing).ask(
        "/hello/you", **({} if odd is None else {"traceparent": odd})
    )

    assert spans.only().parent is None
    assert trace_of(spans.only()) != TRACE


def test_a_failure_is_told_by_its_kind(spans: Spans) -> None:
    """A request that fails is marked; the exception's text is not in the span (I10)."""
    with pytest.raises(RuntimeError):
        Watched(tracing=spans.tracing).ask("/fail")

    span = spans.only()
    assert not span.status.is_ok
    assert dict(span.attributes or {})["error.type"] in {"500", "RuntimeError"}
    assert "very secret" not in span.to_json()


def test_a_socket_is_a_span(spans: Spans) -> None:
    """The upgrade's span ends with the socket."""
    app = scripted({"type": "websocket.accept"}, {"type": "websocket.close"})
    Watched(app, spans.tracing).pass_through({"type": "websocket", "path": "/x", "headers": []})

    assert dict(spans.only().attributes or {})["http.response.status_code"] == 101


async def test_a_batch_is_a_span_below_the_caller_of_its_socket(
    spans: Spans, tmp_path: Path
) -> None:
    """Judging hangs where the upgrade's `traceparent` said, with counts and ids, and no value of a row (I10)."""
    with open_bench(tmp_path, spans.tracing) as bench:
        parent = spans.tracing.parent({"traceparent": TRACEPARENT})
        with working_for(Ids("r", "c", "ann", "session", parent)):
            socket, messages = bench.open()
        bench.driver.post(inputs.MessageReceived(socket, hello()))
        await messages.wait(Checkpoint)
        section = Section("notes", "insert", [["1", 1, 1, None, "very secret"]], ["text"])
        push = Push(1, 0, msgspec.Raw(encode_sections([section])))
        bench.driver.post(inputs.MessageReceived(socket, push))
        await messages.wait(PushResult)

    span = spans.only()
    assert span.name == "syncauth.batch"
    assert trace_of(span) == TRACE
    assert dict(span.attributes or {}) == {
        "syncauth.request_id": "r",
        "syncauth.connection_id": "c",
        "syncauth.user_id": "ann",
        "syncauth.session_id": "session",
        "syncauth.batch": 1,
        "syncauth.changes": 1,
    }
    assert "very secret" not in span.to_json()


def test_without_the_library_nothing_is_traced() -> None:
    """Where the API is not installed a server starts and serves as ever."""
    program = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from syncauth.server.operations.tracing import NoTracing, open_tracing\n"
        "from tests.support.watched import Watched\n"
        "tracing = open_tracing()\n"
        "assert isinstance(tracing, NoTracing)\n"
        "assert Watched(tracing=tracing).ask('/hello/you', traceparent='x')['status'] == 200\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
