"""
`syncauth.toml`: all settings of a server, read and checked as a whole before anything starts.

A refusal is one `InvalidConfig` with all faults, each under the name of its setting and with its line. An unknown
setting is refused, because a misspelt one would silently have no effect. This module must never open the schema file as
a database nor run the rules.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, cast

from syncauth.errors import ConfigFault, InvalidConfig
from syncauth.server.settings.admin import AdminSettings, read_admin
from syncauth.server.settings.faults import Faults, refusal_of
from syncauth.server.settings.issuers import TokenIssuer, read_issuers
from syncauth.server.settings.lines import line_of, line_of_syntax, lines_of
from syncauth.server.settings.login import (
    EmailSettings,
    Hooks,
    MailSettings,
    NamedFunction,
    read_email,
    read_functions,
    read_hooks,
    read_mail,
)
from syncauth.server.settings.operations import (
    DrainSettings,
    MetricsSettings,
    read_drain,
    read_metrics,
)
from syncauth.server.settings.section import Section

MINUTE: Final = 60
DAY: Final = 24 * 3600
YEARS_5: Final = 5 * 365 * DAY
ANONYMOUS_LIFE: Final = 18_250 * DAY
"""App Services gives anonymous users this life, since they cannot log in again to the same user."""

SHORTEST_ACCESS: Final = 2
"""Clients flap below this life, so that not even test mode goes there."""

ORIGIN: Final = re.compile(
    r"(?P<scheme>https?)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:(?P<port>[0-9]+))?"
)

PasswordCost = Literal["owasp", "low"]
PartitionMode = Literal["user", "column"]


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Lives of tokens in seconds; a refresh token's is counted from login.

    An administrator can change the first two while the server runs (`accounts.lifetimes`).
    """

    access_seconds: int = 30 * MINUTE
    refresh_seconds: int = 60 * DAY
    anonymous_refresh_seconds: int = ANONYMOUS_LIFE


@dataclass(frozen=True, slots=True)
class ServedTable:
    """A table of the schema file that devices may synchronise.

    The schema file must give the table the partition column, and a primary key that begins with it,
    followed by the client's own key columns. In mode "user" the column exists at the server only
    and holds `user:<id>`; in mode "column" it is also a column of the client's table and names the
    row's partition.
    """

    name: str
    partition_column: str = "_partition"
    partition: PartitionMode = "user"
    counters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """SQL over `:user_id` that gives the names of the partitions that a user may read and write.

    None means the user's own partition, `user:<id>`, and nothing else.
    """

    read: str | None = None
    write: str | None = None


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What one client may ask for; a burst is how many calls are free of the pace per minute."""

    batch_rows: int = 10_000
    batch_bytes: int = 4_000_000
    window: int = 4
    http_body_bytes: int = 64_000
    login_burst: int = 30
    logins_per_minute: int = 30
    register_burst: int = 300
    registrations_per_minute: int = 60
    failure_burst: int = 300
    failures_per_minute: int = 60
    refresh_burst: int = 120
    refreshes_per_minute: int = 120
    sockets: int = 10_000
    sockets_per_user: int = 100
    function_slots: int = 8
    function_processes: int = 4
    function_seconds: int = 10
    function_bytes: int = 1_000_000
    function_streams: int = 100
    api_keys: int = 20


@dataclass(frozen=True, slots=True)
class LoginSettings:
    """Which logins there are.

    `non_rotating_sessions` admits App Services clients, which ignore a new refresh token.
    `password_cost` "low" makes hashing cheap and is for test mode only. `trusted_origins` are those
    of other sites whose pages may sign in by the team's `authenticate`.
    """

    anonymous: bool = True
    email_password: bool = True
    api_key: bool = True
    non_rotating_sessions: bool = True
    password_cost: PasswordCost = "owasp"  # noqa: S105 - how dear hashing is
    trusted_origins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CustomDataSettings:
    """SQL over `:user_id` that gives the custom data of a user, one row, in its access tokens."""

    query: str | None = None


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """One server's settings, checked."""

    app_id: str
    schema: Path
    test_mode: bool = False
    lifetimes: Lifetimes = Lifetimes()
    tables: tuple[ServedTable, ...] = ()
    rules: Rules = Rules()
    limits: ServerLimits = ServerLimits()
    login: LoginSettings = LoginSettings()
    email: EmailSettings = field(default_factory=EmailSettings)
    mail: MailSettings = field(default_factory=MailSettings)
    issuers: tuple[TokenIssuer, ...] = ()
    hooks: Hooks = field(default_factory=Hooks)
    functions: Mapping[str, NamedFunction] = field(default_factory=dict)
    custom_data: CustomDataSettings = CustomDataSettings()
    admin: AdminSettings = field(default_factory=AdminSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    drain: DrainSettings = field(default_factory=DrainSettings)


T = TypeVar("T")


def read_config(path: Path) -> ServerConfig:
    """Read and check a `syncauth.toml`; the files it names are relative to its folder.

    Raises:
        InvalidConfig: the file cannot be read or is not TOML, or settings are missing, unknown, of the wrong type, out
            of their range or contradict each other; `faults` are all of them, each with its line.
    """
    text = _text_of(path)
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # ValueError: besides its own error tomllib lets out that of numbers with too many digits.
        deep = isinstance(error, RecursionError)
        why = "it is no TOML: " + ("it is nested too deeply" if deep else str(error))
        line = None if deep else line_of_syntax(cast("ValueError", error), text)
        raise refusal_of([ConfigFault("", why, "Correct the file", line)], str(path)) from error
    try:
        return parse_config(document, folder=path.parent)
    except InvalidConfig as error:
        raise located(error, path) from None


def located(error: InvalidConfig, path: Path) -> InvalidConfig:
    """Return the same error with the lines of that file, in which its settings stand or are missed."""
    lines = lines_of(_text_of(path))
    faults = [replace(fault, line=line_of(fault.setting, lines)) for fault in error.faults]
    return refusal_of(faults, str(path))


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        what = f"the configuration file {path} cannot be read"
        remedy = "Give the path of a syncauth.toml with --config, or make one with `syncauth init`"
        raise InvalidConfig(what, setting="--config", why=str(error), remedy=remedy) from error


def parse_config(document: dict[str, Any], *, folder: Path) -> ServerConfig:
    """Check a document as `tomllib` read it; `folder` is what paths in it are relative to.

    Raises:
        InvalidConfig: with all faults.
    """
    faults = Faults()
    whole = Section("", document, faults)
    server = whole.section("server", required=True)
    test_mode = server.flag("test_mode", default=False)
    app_id = _app_id(server)
    schema = _schema(server, folder)
    server.finish()

    def part(name: str, read: Callable[[Section], T]) -> T:
        """Read one section; what its reader raises is a fault like those that it notes."""
        section = whole.section(name)
        try:
            found = read(section)
        except InvalidConfig as error:
            faults.take(error)
            found = read(Section(name, {}, Faults()))
        section.finish()
        return found

    config = ServerConfig(
        app_id=app_id,
        schema=schema,
        test_mode=test_mode,
        lifetimes=part("lifetimes", lambda section: _lifetimes(section, test_mode=test_mode)),
        tables=part("tables", _tables),
        rules=part("rules", _rules),
        limits=part("limits", _limits),
        login=part("login", lambda section: _login(section, test_mode=test_mode)),
        email=part("email", read_email),
        mail=part("mail", lambda section: read_mail(section, folder, test_mode=test_mode)),
        issuers=part("issuers", lambda section: read_issuers(section, folder)),
        hooks=part("hooks", read_hooks),
        functions=part("functions", read_functions),
        custom_data=part("custom_data", _custom_data),
        admin=part("admin", read_admin),
        metrics=part("metrics", lambda section: read_metrics(section, folder)),
        drain=part("drain", read_drain),
    )
    whole.finish()
    faults.check()
    return config


def _app_id(server: Section) -> str:
    app_id = server.text("app_id")
    if not all(
        character.isascii() and (character.isalnum() or character in "-_.") for character in app_id
    ):
        remedy = "It stands in URLs: use letters, digits, - _ and . only"
        server.refuse("app_id", f"it is {app_id!r}", remedy)
    return app_id


def _schema(server: Section, folder: Path) -> Path:
    schema = folder / server.text("schema")
    try:
        there = schema.is_file()
    except (OSError, ValueError):  # a name that is too long, or one that no file can have
        there = False
    if not there:
        remedy = "Give the path of an SQL file, relative to the folder of the configuration file"
        server.refuse("schema", f"there is no file {schema}", remedy)
    return schema


def access_range(*, test_mode: bool) -> tuple[int, int]:
    """Return the shortest and the longest life of access tokens, in seconds."""
    return (SHORTEST_ACCESS if test_mode else MINUTE), DAY


def refresh_range(*, test_mode: bool) -> tuple[int, int]:
    """Return the shortest and the longest life of refresh tokens, in seconds."""
    return (SHORTEST_ACCESS if test_mode else 30 * MINUTE), YEARS_5


def _lifetimes(section: Section, *, test_mode: bool) -> Lifetimes:
    shortest_access, longest_access = access_range(test_mode=test_mode)
    shortest_refresh, longest_refresh = refresh_range(test_mode=test_mode)
    standard = Lifetimes()
    return Lifetimes(
        access_seconds=section.integer(
            "access_seconds", standard.access_seconds, low=shortest_access, high=longest_access
        ),
        refresh_seconds=section.integer(
            "refresh_seconds", standard.refresh_seconds, low=shortest_refresh, high=longest_refresh
        ),
        anonymous_refresh_seconds=section.integer(
            "anonymous_refresh_seconds", ANONYMOUS_LIFE, low=shortest_refresh, high=ANONYMOUS_LIFE
        ),
    )


def _tables(section: Section) -> tuple[ServedTable, ...]:
    tables: list[ServedTable] = []
    for table in section.subsections():
        name = table.name.removeprefix("tables.")
        if not name or name.lower().startswith(("_sync_", "sqlite_")):
            table.refuse(None, "the name is reserved", "Rename the table")
        if name.lower() in {other.name.lower() for other in tables}:
            remedy = "SQLite does not distinguish upper from lower case: keep one of the two"
            table.refuse(None, "the table stands here twice", remedy)
        mode = table.choice("partition", ("user", "column"))
        tables.append(
            ServedTable(
                name=name,
                partition_column=table.text("partition_column", "_partition"),
                partition=cast("PartitionMode", mode),
                counters=table.texts("counters"),
            )
        )
        table.finish()
    return tuple(tables)


def _rules(section: Section) -> Rules:
    return Rules(read=section.optional_text("read"), write=section.optional_text("write"))


def _custom_data(section: Section) -> CustomDataSettings:
    return CustomDataSettings(query=section.optional_text("query"))


def _limits(section: Section) -> ServerLimits:
    standard = ServerLimits()
    ranges = {
        "batch_rows": (1, 1_000_000),
        "batch_bytes": (1_000, 64_000_000),
        "window": (1, 64),
        "http_body_bytes": (1_000, 10_000_000),
        "login_burst": (1, 1_000_000),
        "logins_per_minute": (1, 1_000_000),
        "register_burst": (1, 1_000_000),
        "registrations_per_minute": (1, 1_000_000),
        "failure_burst": (1, 1_000_000),
        "failures_per_minute": (1, 1_000_000),
        "refresh_burst": (1, 1_000_000),
        "refreshes_per_minute": (1, 1_000_000),
        "sockets": (1, 1_000_000),
        "sockets_per_user": (1, 1_000_000),
        "function_slots": (1, 1_000),
        "function_processes": (1, 1_000),
        "function_seconds": (1, 3_600),
        "function_bytes": (1_000, 64_000_000),
        "function_streams": (1, 100_000),
        "api_keys": (1, 1_000),
    }
    limits = {
        name: section.integer(name, getattr(standard, name), low=low, high=high)
        for name, (low, high) in ranges.items()
    }
    return ServerLimits(**limits)


def _origins(section: Section) -> tuple[str, ...]:
    """Read origins as browsers write them (RFC 6454 section 6.2)."""
    origins = tuple(text.lower() for text in section.texts("trusted_origins"))
    for text in origins:
        match = ORIGIN.fullmatch(text)
        if match is None or match["port"] == {"https": "443", "http": "80"}[match["scheme"]]:
            remedy = (
                "Write it as browsers do: https://app.example.com, without a path or standard port"
            )
            section.refuse("trusted_origins", f"{text[:100]!r} is no origin", remedy)
    return origins


def _login(section: Section, *, test_mode: bool) -> LoginSettings:
    cost = section.choice("password_cost", ("owasp", "low"))
    if cost == "low" and not test_mode:
        remedy = "Remove it, or set server.test_mode = true on a server that holds no real accounts"
        section.refuse("password_cost", '"low" is for test mode only', remedy)
    return LoginSettings(
        anonymous=section.flag("anonymous", default=True),
        email_password=section.flag("email_password", default=True),
        api_key=section.flag("api_key", default=True),
        non_rotating_sessions=section.flag("non_rotating_sessions", default=True),
        password_cost=cast("PasswordCost", cost),
        trusted_origins=_origins(section),
    )
