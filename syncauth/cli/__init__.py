"""
The command `syncauth`: what an operator types.

Commands read their options, start the parts and report; nothing of syncauth may import this
package.
"""

from __future__ import annotations

import click

from syncauth.cli.serve import serve


@click.group()
@click.version_option(package_name="syncauth")
def main() -> None:
    """Keep SQLite files of many devices in step, through logins that expire."""


main.add_command(serve)
