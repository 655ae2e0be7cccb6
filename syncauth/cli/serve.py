"""
`syncauth serve`: one server process, ready line on stdout, log on stderr, clean end on SIGTERM.

Without TLS the server listens on loopback only, because tokens travel through it; a proxy that ends
TLS must be declared. This module must never print anything but the ready line to stdout: programs
read it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ipaddress
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from json import dumps
from pathlib import Path
from types import FrameType
from typing import Final

import click
import uvicorn

from syncauth.cli.loops import run_on_fast_loop
from syncauth.cli.serve_check import report
from syncauth.errors import InvalidConfig, SyncAuthError
from syncauth.server import SyncServer
from syncauth.server.checking import check_config
from syncauth.server.clock import SystemClock
from syncauth.server.hub.socket import largest_frame
from syncauth.server.operations.logs import FORMATS, LogFormat, set_up_logs
from syncauth.server.operations.operations import Operations
from syncauth.server.settings.config import ServerConfig, located, read_config
from syncauth.server.settings.faults import refusal_of

LOGGER: Final = logging.getLogger("syncauth.cli.serve")

SECONDS_TO_END: Final = 1
"""How long what is left after the drain may take to end."""

LOOPBACK: Final = "127.0.0.1"


@click.command()
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default=Path("syncauth.toml"),
    show_default=True,
    help="The configuration file.",
)
@click.option(
    "--data",
    "data_dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of the database and the signing keys, required; made if missing.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8089,
    show_default=True,
    help="The port to listen on; 0 takes a free one, which the ready line tells.",
)
@click.option(
    "--behind-tls-proxy",
    is_flag=True,
    help="A proxy in front speaks TLS and alone can reach this port: listen on any address. "
    "Its X-Forwarded headers are believed from the addresses in FORWARDED_ALLOW_IPS (127.0.0.1).",
)
@click.option("--log-level", type=click.Choice(["debug", "info", "warning"]), default="info")
@click.option(
    "--log-format",
    type=click.Choice(FORMATS),
    default="text",
    help="Lines for people, or one JSON object a line.",
)
@click.option(
    "--check",
    is_flag=True,
    help="Serve nothing: try the configuration and all that it names, and tell every fault. "
    "The data is not touched.",
)
@click.option("--json", is_flag=True, help="With --check: print one JSON document.")
def serve(
    *,
    config_path: Path,
    data_dir: Path | None,
    host: str,
    port: int,
    behind_tls_proxy: bool,
    log_level: str,
    log_format: LogFormat,
    check: bool,
    json: bool,
) -> None:
    """Run the bundled server until SIGTERM or Ctrl-C.

    Prints one line of JSON, {"ready": true, "url": ...}, when it accepts connections. Exits with 2
    if the configuration cannot be used, and with 1 if the data or the port cannot. A second signal
    ends it without waiting for what is under way.
    """
    if check:
        raise click.exceptions.Exit(report(config_path, json=json))
    if data_dir is None:
        message = "Missing option '--data'."
        raise click.UsageError(message)
    set_up_logs(log_level, log_format)
    try:
        _refuse_open_door(host, behind_tls_proxy=behind_tls_proxy)
        config = read_config(config_path)
        _warn_of_forged_addresses(config, behind_tls_proxy=behind_tls_proxy)
        # So that functions and hooks are found in modules beside the configuration file.
        sys.path.insert(0, str(config_path.resolve().parent))
        own_port = config.metrics.port
        with (
            _listen(host, port) as door,
            contextlib.nullcontext() if own_port is None else _listen(LOOPBACK, own_port) as other,
            _all_told(config, config_path),
        ):
            run_on_fast_loop(_run(config, data_dir, door, other, behind_tls_proxy=behind_tls_proxy))
    except InvalidConfig as error:
        # Its lines begin with a path where they come from the file, as editors expect.
        own = str(error).startswith(f"{config_path}:")
        _fail(f"{error}" if own else f"syncauth serve: {error}", 2)
    except (SyncAuthError, OSError) as error:
        _fail(f"syncauth serve: {error}", 1)


class _Server(uvicorn.Server):
    """Uvicorn that tells when it is ready, and ends with exit code 0 on SIGTERM and SIGINT."""

    def __init__(
        self, config: uvicorn.Config, ready: dict[str, str], operations: Operations
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._operations = operations

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            click.echo(dumps({"ready": True, **self._ready}))
            sys.stdout.flush()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Before uvicorn closes the sockets in its own way, without a goodbye.
        await self._operations.drain()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End in good order at the first signal, at once at the second."""
        if self.should_exit:
            self.force_exit = True
            self._operations.hurry()
        super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let both signals end the server, and do not raise them again as uvicorn does."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for number in signals:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)


class _MetricsServer(uvicorn.Server):
    """Uvicorn beside another one, which alone minds the signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


@contextlib.asynccontextmanager
async def _serving_metrics(
    operations: Operations, door: socket.socket | None
) -> AsyncIterator[None]:
    """Serve `/metrics` on a port of its own meanwhile, also while the server drains."""
    if operations.metrics_app is None or door is None:
        yield
        return
    options = uvicorn.Config(
        operations.metrics_app,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=SECONDS_TO_END,
    )
    server = _MetricsServer(options)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve(sockets=[door]))
        try:
            yield
        finally:
            server.should_exit = True


async def _run(
    config: ServerConfig,
    data_dir: Path,
    door: socket.socket,
    metrics_door: socket.socket | None,
    *,
    behind_tls_proxy: bool,
) -> None:
    # What is loaded by now stays, and a batch makes tens of thousands of lists that are no garbage: looking through
    # them again and again costs a tenth of the server's time.
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    clock = SystemClock()
    sync_server = SyncServer(config, data_dir=data_dir, clock=clock)
    ready = {"url": _url(door)}
    if metrics_door is not None:
        ready["metrics_url"] = f"{_url(metrics_door)}/metrics"
    options = uvicorn.Config(
        sync_server,
        log_config=None,
        log_level="warning",  # uvicorn's own lines show paths with their query
        access_log=False,
        server_header=False,
        proxy_headers=behind_tls_proxy,
        ws="websockets-sansio",
        # A frame above the limit is answered with an error; far above it, it is not even read.
        ws_max_size=2 * largest_frame(config.limits),
        ws_per_message_deflate=False,
        lifespan="off",
        timeout_graceful_shutdown=SECONDS_TO_END,
    )
    async with sync_server:
        server = _Server(options, ready, sync_server.operations)
        async with _serving_metrics(sync_server.operations, metrics_door):
            await server.serve(sockets=[door])


def _refuse_open_door(host: str, *, behind_tls_proxy: bool) -> None:
    """Refuse an address that others can reach while nobody speaks TLS."""
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return
    if host == "localhost" or behind_tls_proxy:
        return
    raise InvalidConfig(
        f"--host {host} cannot be used without TLS",
        setting="--host",
        why="tokens and passwords would travel in clear text",
        remedy="Put a proxy that speaks TLS in front and say --behind-tls-proxy, or use 127.0.0.1",
    )


def _warn_of_forged_addresses(config: ServerConfig, *, behind_tls_proxy: bool) -> None:
    """Say that the admin API cannot tell where a caller is, if every caller is believed to be a proxy."""
    believed = os.environ.get("FORWARDED_ALLOW_IPS", "").split(",")
    if config.admin.enabled and behind_tls_proxy and "*" in map(str.strip, believed):
        LOGGER.warning(
            "FORWARDED_ALLOW_IPS is *: whoever reaches this port writes its own address, and admin.networks and the"
            " limits per address keep nobody out. Name the addresses of the proxy"
        )


def _url(door: socket.socket) -> str:
    host, port = door.getsockname()[:2]
    return f"http://[{host}]:{port}" if door.family is socket.AF_INET6 else f"http://{host}:{port}"


def _listen(host: str, port: int) -> socket.socket:
    """Bind the socket first, so that a port that is taken is told before anything happens."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    door = socket.socket(family, kind, protocol)
    try:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(address)
    except OSError:
        door.close()
        raise
    return door


@contextlib.contextmanager
def _all_told(config: ServerConfig, path: Path) -> Iterator[None]:
    """Turn the first fault of what the settings name into all such faults, each with its line."""
    try:
        yield
    except InvalidConfig as error:
        faults = check_config(config).faults or error.faults
        raise located(refusal_of(faults), path) from error


def _fail(text: str, code: int) -> None:
    click.echo(text, err=True)
    raise click.exceptions.Exit(code)
