"""
The services of one app's account API, put together.

Everything that decides about accounts is made here, from the parts that the application has opened. This module must
never decide anything itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from syncauth.interfaces import Clock, Randomness
from syncauth.server.accounts.accounts import Accounts
from syncauth.server.accounts.api_keys import ApiKeys
from syncauth.server.accounts.custom_data import CustomData, Query
from syncauth.server.accounts.denials import Denials
from syncauth.server.accounts.emails import Emails
from syncauth.server.accounts.foreign_tokens import ForeignTokens
from syncauth.server.accounts.issuer import Issuer
from syncauth.server.accounts.lifetimes import LiveLifetimes
from syncauth.server.accounts.logins import Logins
from syncauth.server.accounts.mail import Post, open_sender
from syncauth.server.accounts.pace import Pace
from syncauth.server.accounts.passwords import Passwords
from syncauth.server.accounts.sessions import Revoked, Sessions
from syncauth.server.accounts.team_users import TeamUsers
from syncauth.server.admin.deeds import Deeds
from syncauth.server.admin.keys import AdminKeys
from syncauth.server.operations.metrics import Metrics
from syncauth.server.settings.config import ServerConfig, ServerLimits
from syncauth.server.settings.section import refusal
from syncauth.server.stores.admin_interface import AdminStore
from syncauth.server.stores.thread import StoreThread
from syncauth.server.team.extensions import Extensions
from syncauth.server.team.functions import Functions, places_of
from syncauth.server.team.processes import ProcessPool
from syncauth.server.team.runner import Runner


@dataclass(frozen=True, slots=True)
class Admin:
    """What the routes of administrators call."""

    keys: AdminKeys
    deeds: Deeds


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes call."""

    sessions: Sessions
    accounts: Accounts
    emails: Emails
    logins: Logins
    api_keys: ApiKeys
    functions: Functions
    denials: Denials
    admin: Admin
    team_users: TeamUsers
    clock: Clock
    _runners: tuple[Runner, Runner, ProcessPool]
    _post: Post

    def close(self) -> None:
        """Let go of threads, where the team's code is left to itself, and kill processes. Idempotent."""
        self._post.close()
        for runner in self._runners:
            runner.close()


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application has opened; all calls to `store` and `query` are made in `thread`."""

    store: AdminStore
    thread: StoreThread
    issuer: Issuer
    passwords: Passwords
    clock: Clock
    randomness: Randomness
    on_revoked: Revoked
    query: Query | None = None
    metrics: Metrics = field(default_factory=Metrics)
    foreign: ForeignTokens = field(default_factory=lambda: ForeignTokens(()))


def open_services(config: ServerConfig, extensions: Extensions, parts: Parts) -> Services:
    """Make the services.

    Raises:
        InvalidConfig: a key, secret or password that the settings name is not there.
    """
    check_extensions(config, extensions)
    limits = config.limits
    # Apart, so that slow functions keep nobody from logging in.
    calls, hooks = _runners(limits, parts.metrics)
    processes = _processes(extensions, limits, parts.metrics)
    post = Post(open_sender(config.mail, extensions.mail), parts.metrics.mailed)
    pace = Pace(limits, parts.clock)
    lifetimes = LiveLifetimes(config, store=parts.store, thread=parts.thread, clock=parts.clock)
    sessions = _sessions(config, extensions, parts, pace, hooks, lifetimes)
    emails = Emails(
        config,
        store=parts.store,
        thread=parts.thread,
        sessions=sessions,
        passwords=parts.passwords,
        post=post,
        runner=hooks,
        extensions=extensions,
        pace=pace,
        clock=parts.clock,
        randomness=parts.randomness,
    )
    accounts = _accounts(config, parts, sessions, emails, pace)
    logins = _logins(config, extensions, parts, sessions, pace, hooks)
    return Services(
        sessions=sessions,
        accounts=accounts,
        emails=emails,
        logins=logins,
        team_users=_team_users(parts, sessions, logins),
        api_keys=ApiKeys(
            config,
            store=parts.store,
            thread=parts.thread,
            sessions=sessions,
            clock=parts.clock,
            randomness=parts.randomness,
        ),
        functions=Functions(extensions.functions, limits, calls, processes),
        denials=Denials(
            store=parts.store,
            thread=parts.thread,
            clock=parts.clock,
            on_revoked=sessions.ended,
        ),
        admin=_admin(parts, sessions, accounts, lifetimes, pace),
        clock=parts.clock,
        _runners=(calls, hooks, processes),
        _post=post,
    )


def _processes(extensions: Extensions, limits: ServerLimits, metrics: Metrics) -> ProcessPool:
    return ProcessPool(
        places_of(extensions.functions),
        slots=limits.function_processes,
        largest=limits.function_bytes,
        ended=metrics.called,
    )


def _accounts(
    config: ServerConfig, parts: Parts, sessions: Sessions, emails: Emails, pace: Pace
) -> Accounts:
    return Accounts(
        config,
        store=parts.store,
        thread=parts.thread,
        sessions=sessions,
        emails=emails,
        passwords=parts.passwords,
        pace=pace,
        clock=parts.clock,
    )


def _admin(
    parts: Parts, sessions: Sessions, accounts: Accounts, lifetimes: LiveLifetimes, pace: Pace
) -> Admin:
    keys = AdminKeys(
        store=parts.store,
        thread=parts.thread,
        issuer=parts.issuer,
        pace=pace,
        clock=parts.clock,
    )
    deeds = Deeds(
        store=parts.store,
        thread=parts.thread,
        sessions=sessions,
        accounts=accounts,
        lifetimes=lifetimes,
        issuer=parts.issuer,
        clock=parts.clock,
    )
    return Admin(keys, deeds)


def _runners(limits: ServerLimits, metrics: Metrics) -> tuple[Runner, Runner]:
    """Make the runners of functions and of hooks, and have their slots watched."""
    slots, seconds = limits.function_slots, limits.function_seconds
    calls = Runner("functions", slots=slots, seconds=seconds, ended=metrics.called)
    hooks = Runner("hooks", slots=slots, seconds=seconds, ended=metrics.called)
    taken = {each.name: lambda runner=each: runner.taken for each in (calls, hooks)}
    metrics.watch_by("function_slots_taken", "Slots in which the team's code runs.", "kind", taken)
    metrics.watch("function_slots", "Slots that there are of each kind.", lambda: slots)
    return calls, hooks


def _sessions(
    config: ServerConfig,
    extensions: Extensions,
    parts: Parts,
    pace: Pace,
    hooks: Runner,
    lifetimes: LiveLifetimes,
) -> Sessions:
    custom_data = CustomData(
        function=extensions.custom_data, query=parts.query, runner=hooks, thread=parts.thread
    )
    return Sessions(
        config,
        store=parts.store,
        thread=parts.thread,
        issuer=parts.issuer,
        clock=parts.clock,
        randomness=parts.randomness,
        pace=pace,
        on_revoked=parts.on_revoked,
        custom_data=custom_data,
        lifetimes=lifetimes,
    )


def _logins(
    config: ServerConfig,
    extensions: Extensions,
    parts: Parts,
    sessions: Sessions,
    pace: Pace,
    hooks: Runner,
) -> Logins:
    return Logins(
        config,
        store=parts.store,
        thread=parts.thread,
        sessions=sessions,
        foreign=parts.foreign,
        runner=hooks,
        extensions=extensions,
        pace=pace,
        clock=parts.clock,
    )


def _team_users(parts: Parts, sessions: Sessions, logins: Logins) -> TeamUsers:
    return TeamUsers(
        logins=logins,
        sessions=sessions,
        store=parts.store,
        thread=parts.thread,
        clock=parts.clock,
    )


def check_extensions(config: ServerConfig, extensions: Extensions) -> None:
    """Refuse settings that ask for what nobody does.

    Raises:
        InvalidConfig: a function or a sender of mail is missing.
    """
    for setting, mode, function in (
        ("confirm", config.email.confirmation, extensions.confirm),
        ("reset", config.email.reset, extensions.reset),
    ):
        if mode == "function" and function is None:
            raise refusal(f"hooks.{setting}", "it is missing", "Name the function there")
        if mode == "mail" and extensions.mail is None and config.mail.sender == "none":
            raise refusal("mail.sender", "it is missing", "Say who sends the mail of [email]")
    if extensions.authenticate is not None and extensions.custom_login is not None:
        why = "hooks.custom_login answers the same login"
        raise refusal("hooks.authenticate", why, "Keep one of the two")
