"""
`syncauth server doctor`: a server's configuration, data directory and health, examined without changing anything.

It works while the server runs, and where it cannot start. This module must never print a key, and never speak to
anybody but the server whose health is asked for.
"""

from __future__ import annotations

from pathlib import Path

import click

from syncauth.adapters.clock import SystemClock
from syncauth.cli import options, server_findings, server_told
from syncauth.cli.exits import reported
from syncauth.cli.server_copies import SERVER_DATA
from syncauth.cli.tables import as_json


@click.command()
@SERVER_DATA
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default=Path("syncauth.toml"),
    show_default=True,
    help="The configuration file.",
)
@options.server(
    required=False, what="Ask the server that runs here for its health; no token is sent."
)
@options.JSON
def doctor(data: Path, config_path: Path, server: str | None, *, json: bool) -> None:
    """Examine a server: its configuration, its file, its keys, its disk, who has it open.

    Ends with the code of the gravest finding: 4, then 1, then 3, then 2, else 0.
    """
    with reported("server doctor", json=json):
        found = server_findings.examine(data, config_path, SystemClock().wall())
        if server is not None:
            server_findings.ask_health(found, server)
        click.echo(as_json(server_told.document(found)) if json else server_told.text(found))
        raise click.exceptions.Exit(found.exit_code)
