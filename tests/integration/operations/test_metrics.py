"""What Prometheus reads of a real server is what happened there."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx

from syncauth.sansio.messages import Changes
from tests.integration.operations.conftest import APP, BASE, LoggedServer, Serve, until
from tests.support.socket_device import Account, device
from tests.support.watched import sample

CALL = f"{APP.replace('test', '{app_id}')}/functions/call"


def scrape(server: LoggedServer, name: str, **labels: str) -> float:
    """Read the metrics over HTTP and return one; 0 if there is no such series yet."""
    text = httpx.get(server.ready["metrics_url"]).raise_for_status().text
    return sample(text, f"syncauth_{name}", **labels) or 0.0


def test_metrics_are_off_unless_they_are_asked_for(serve: Serve) -> None:
    """By default nobody reads them, and with a port of their own not beside the API."""
    closed, opened = serve(), serve(settings="[metrics]\nport = 0\n")

    assert "metrics_url" not in closed.ready
    for server in (closed, opened):
        assert httpx.get(f"{server.url}/metrics").status_code == 404


def test_logins_refreshes_and_calls_are_counted(serve: Serve, tmp_path: Path) -> None:
    """Each is counted by its outcome; durations, slots and mails as well; no label holds an id or a path."""
    server = serve(
        settings="[metrics]\nport = 0\n[limits]\nfunction_seconds = 1\nlogin_burst = 2\n"
    )
    account = Account.log_in_anonymously(server.url).renew()
    old = account.refresh
    account.renew()
    session = f"{server.url}{BASE}/auth/session"
    reused = httpx.post(session, headers={"Authorization": f"Bearer {old}"})
    other = Account.log_in_anonymously(server.url)
    for _ in range(3):
        server.log_in("local-userpass", username="ann@example.com", password="wrong")
    register = f"{server.url}{APP}/auth/providers/local-userpass/register"
    httpx.post(register, json={"email": "ann@example.com", "password": "correct horse"})
    server.call(other.access, "speak")
    server.call(other.access, "fail", "x")
    server.call(other.access, "sleep", 1.5)
    assert scrape(server, "function_slots_taken", kind="functions") == 1
    for number in range(20):
        httpx.get(f"{server.url}/nowhere/{number}")

    assert reused.json()["reason"] == "reuse_detected"
    assert scrape(server, "logins_total", provider="anon-user", outcome="ok") == 2
    wrong = {"provider": "local-userpass", "outcome": "InvalidPassword"}
    assert scrape(server, "logins_total", **wrong) == 2
    assert scrape(server, "logins_total", provider="local-userpass", outcome="TooManyRequests") == 1
    login = f"{APP.replace('test', '{app_id}')}/auth/providers/local-userpass/login"
    assert scrape(server, "rate_limited_total", route=login) == 1
    assert scrape(server, "refreshes_total", outcome="ok") == 2
    assert scrape(server, "refreshes_total", outcome="reuse_detected") == 1
    assert scrape(server, "sessions_revoked_total") == 1
    for outcome in ("ok", "failed", "timed_out"):
        assert scrape(server, "function_calls_total", kind="functions", outcome=outcome) == 1
    assert scrape(server, "http_requests_total", route=CALL, status="200") == 1
    assert scrape(server, "http_request_seconds_count", route=CALL) == 3
    assert scrape(server, "http_requests_total", route="unknown", status="404") == 20
    assert scrape(server, "store_commit_seconds_count") >= 6
    assert scrape(server, "store_wait_seconds_count") >= 15  # a refresh is one visit
    until(lambda: scrape(server, "mails_total", outcome="failed") == 1)
    until(lambda: scrape(server, "function_slots_taken", kind="functions") == 0)
    text = httpx.get(server.ready["metrics_url"]).text
    for told in (account.user, other.user, "nowhere", "example.com", str(tmp_path)):
        assert told not in text


def test_sockets_batches_and_pages_are_counted(serve: Serve, tmp_path: Path) -> None:
    """Open sockets by their state, batches, changes, pages and rows are those that there were."""
    server = serve(settings="[metrics]\nport = 0\n")
    account = Account.log_in_anonymously(server.url)

    async def story() -> None:
        async with device(account, "a") as phone, device(account, "b") as laptop:
            await until_counted("opened", 2)
            await phone.greet()
            await laptop.greet()
            await phone.catch_up()
            await laptop.catch_up()
            await until_counted("welcomed", 2)
            await phone.judged(phone.insert(("1", "a"), ("2", "b")))
            stale = phone.update("1", "c", life="0" * 32, hlc=1)
            assert (await phone.judged(stale)).superseded != []
            await laptop.hear_a(Changes)
            await phone.push(batch=9)
            await asyncio.to_thread(
                until, lambda: scrape(server, "batches_total", outcome="out_of_order") == 1
            )

    async def until_counted(state: str, count: int) -> None:
        await asyncio.to_thread(until, lambda: scrape(server, "sockets", state=state) == count)

    asyncio.run(story())
    until(lambda: scrape(server, "sockets", state="welcomed") == 0)

    assert scrape(server, "batches_total", outcome="judged") == 2
    assert scrape(server, "batch_seconds_count") == 3
    applied, superseded = (
        scrape(server, "changes_total", outcome=each) for each in ("applied", "superseded")
    )
    assert (applied, superseded) == (2, 1)
    with closing(sqlite3.connect(tmp_path / "data" / "server.db")) as connection:
        assert connection.execute("SELECT count(*) FROM notes").fetchone() == (applied,)
    assert scrape(server, "pages_sent_total") >= 1
    assert scrape(server, "page_rows_sent_total") >= 2
    route = f"{APP.replace('test', '{app_id}')}/sync"
    assert scrape(server, "http_requests_total", route=route, status="101") == 2


def test_metrics_are_told_until_the_end(serve: Serve, tmp_path: Path) -> None:
    """While the server drains its own port still tells what is under way."""
    server = serve(settings="[metrics]\nport = 0\n[drain]\nseconds = 60\n")
    account = Account.log_in_anonymously(server.url)

    async def story() -> None:
        go_on = tmp_path / "go-on"
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.to_thread(server.call, account.access, "wait", str(go_on)))
            await asyncio.to_thread(until, (tmp_path / "go-on.begun").exists)
            server.terminate()
            unready = f"{server.url}/readyz"
            await asyncio.to_thread(until, lambda: httpx.get(unready).status_code == 503)
            under_way = await asyncio.to_thread(scrape, server, "http_requests_under_way")
            go_on.touch()
        assert under_way == 1

    asyncio.run(story())
    assert server.ended() == 0
