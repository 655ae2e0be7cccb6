"""
When the app is told that a relogin is required, and when its handler is called (I5).

An episode is published once per run of the process, after sync has stopped, and the handler is
called with it: at once, or as soon as one is registered. It is called again only when the app asks,
or at the first return of the network if it had been told that there is none. These rules never fire
a machine.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from syncauth.events import ReloginRequired
from syncauth.sansio.accounts import Episode
from syncauth.sansio.draft import Draft
from syncauth.sansio.effects import CallReloginHook, Settle


def settle_stopped(draft: Draft) -> None:
    """Settle the verbs that wait until sync has stopped, before it may begin again."""
    if draft.account.sync_stopped:
        for request in draft.account.when_stopped:
            draft.do(Settle(request))
        draft.change(when_stopped=())


def after_stop(draft: Draft, *, hook_registered: bool) -> None:
    """Do what had to wait until sync has stopped: publish the episode, call the handler."""
    episode = draft.account.episode
    if not draft.account.sync_stopped or episode is None:
        return
    if not episode.published:
        _change(draft, published=True)
        draft.tell(_event(draft, episode))
    if hook_registered and not episode.hook_called:
        _call(draft)


def call_again(draft: Draft) -> None:
    """`App.request_relogin`: call the handler, unless it is running."""
    episode = draft.account.episode
    if episode is not None and episode.published and not episode.hook_running:
        _call(draft)


def network_is_back(draft: Draft) -> None:
    """Call the handler again if it had been told that there is no network."""
    episode = draft.account.episode
    if episode is not None and episode.told_offline and not episode.hook_running:
        _call(draft)


def returned(draft: Draft, episode_id: str) -> None:
    """The handler has returned or raised; without a login it stays at that."""
    episode = draft.account.episode
    if episode is not None and episode.id == episode_id:
        _change(draft, hook_running=False)


def _call(draft: Draft) -> None:
    offline = not draft.account.online
    _change(draft, hook_called=True, hook_running=True, told_offline=offline)
    if draft.account.episode is not None:
        draft.do(CallReloginHook(_event(draft, draft.account.episode)))


def _change(draft: Draft, **fields: Any) -> None:
    if draft.account.episode is not None:
        draft.change(episode=replace(draft.account.episode, **fields))


def _event(draft: Draft, episode: Episode) -> ReloginRequired:
    account = draft.account
    return ReloginRequired(
        account.user_id,
        draft.now.wall,
        episode=episode.id,
        reason=episode.reason,
        online=account.online,
        changes_pending=account.pending,
        since=episode.since,
    )
