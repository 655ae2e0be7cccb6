"""
`syncauth init`: the files with which a new server begins, a commented `syncauth.toml` and a schema file.

The files themselves stand beside this module. It must never overwrite a file.
"""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Final

import click

from syncauth.cli.exits import reported
from syncauth.cli.tables import as_json
from syncauth.errors import InvalidConfig

CONFIG: Final = "syncauth.toml"
SCHEMA: Final = "schema.sql"
APP_ID: Final = "my-app"


@click.command()
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where to write the files; the current directory if not given.",
)
@click.option("--app-id", default=APP_ID, show_default=True, help="The app's id.")
@click.option("--json", is_flag=True, help="Print one JSON document instead of text for people.")
def init(*, directory: Path, app_id: str, json: bool) -> None:
    """Write a commented syncauth.toml with every setting, and an example schema.sql.

    Nothing is overwritten. `syncauth serve --data data` runs the server that they describe.
    """
    with reported("init", json=json):
        written = write_files(directory, app_id)
    if json:
        click.echo(as_json({"written": [str(path) for path in written]}))
        return
    for path in written:
        click.echo(f"written: {path}")
    place = "" if directory == Path() else f" --config {written[0]}"
    click.echo(f"next: syncauth serve{place} --data data")


def write_files(directory: Path, app_id: str) -> tuple[Path, ...]:
    """Write both files and return their paths.

    Raises:
        InvalidConfig: one of them is there already, or cannot be written, or the id is none.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", app_id):
        remedy = "It stands in URLs: use letters, digits, - _ and . only"
        raise _refusal("--app-id", f"it is {app_id!r}", remedy)
    config = _template("template.toml").replace(f'"{APP_ID}"', f'"{app_id}"')
    contents = {directory / CONFIG: config, directory / SCHEMA: _template("template.sql")}
    for path in contents:
        if path.exists():
            remedy = "Move it, or say --directory with another place"
            what = f"nothing was written: {path} is there already"
            raise InvalidConfig(what, setting=str(path), remedy=remedy)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for path, content in contents.items():
            with path.open("x", encoding="utf-8") as file:
                file.write(content)
    except OSError as error:
        raise _refusal("--directory", str(error), "Give a directory to write to") from error
    return tuple(contents)


def _template(name: str) -> str:
    return files("syncauth.cli").joinpath(name).read_text("utf-8")


def _refusal(option: str, why: str, remedy: str) -> InvalidConfig:
    what = f"nothing was written, because of {option}"
    return InvalidConfig(what, setting=option, why=why, remedy=remedy)
