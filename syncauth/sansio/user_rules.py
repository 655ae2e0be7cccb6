"""
Which rules judge which input of one user, and what the passing of time asks for.

One case for each input of `inputs.UserInput`. This module must never judge anything itself.
"""

from __future__ import annotations

from typing import Final, assert_never

from syncauth.models import SessionState
from syncauth.sansio import flow_rules, hook_rules, inputs, link_rules, refresh_rules, token_rules
from syncauth.sansio.draft import Draft
from syncauth.sansio.effects import PutProfile, Settle
from syncauth.sansio.inputs import UserInput
from syncauth.sansio.session import SessionTrigger

_USABLE_SESSIONS: Final = (SessionState.ACTIVE, SessionState.REFRESHING)


def decide(draft: Draft, happening: UserInput) -> None:
    """Hand an input of one user to its rules; an answer of the server is a sign of the network."""
    online = draft.account.online
    _dispatch(draft, happening)
    if draft.account.online and not online:
        network_is_back(draft)


def refresh_answered(draft: Draft, answer: inputs.RefreshAnswered, *, repeat_safe: bool) -> None:
    """Take the answer to a refresh; it is a sign of the network as every other answer."""
    online = draft.account.online
    refresh_rules.answered(draft, answer, repeat_safe=repeat_safe)
    if draft.account.online and not online:
        # What the server has just said about the next refresh, such as Retry-After, holds.
        network_is_back(draft, refresh=False)


def network_is_back(draft: Draft, *, refresh: bool = True) -> None:
    """A sign of the network: end every wait that was for it."""
    draft.change(online=True)
    if refresh:
        refresh_rules.network_is_back(draft)
    link_rules.network_is_back(draft)
    hook_rules.network_is_back(draft)


def act_on_time(draft: Draft) -> None:
    """Do what the session has planned, if its time has come."""
    at = refresh_rules.due_at(draft.account, draft.session)
    if at is not None and draft.now.monotonic >= at and draft.session in _USABLE_SESSIONS:
        refresh_rules.want_refresh(draft, SessionTrigger.REFRESH_DUE)


def _profile_read(draft: Draft, read: inputs.ProfileRead) -> None:
    draft.write(PutProfile(read.user_id, read.profile))
    draft.change(profile=read.profile)
    draft.do(Settle(read.request))


def _dispatch(draft: Draft, happening: UserInput) -> None:  # noqa: C901 - one case for each input
    match happening:
        case inputs.ReplicaOpened():
            draft.change(replica=happening.state, written=True)
        case inputs.ReplicaClosing():
            waiting = (*draft.account.when_stopped, happening.request)
            flow_rules.end_waiting(draft)
            draft.change(replica=None, when_stopped=waiting)
        case inputs.ReplicaWritten():
            flow_rules.written(draft)
        case inputs.SyncWanted():
            flow_rules.sync_wanted(draft, happening)
        case inputs.HookReturned():
            hook_rules.returned(draft, happening.episode)
        case inputs.ReloginAsked():
            hook_rules.call_again(draft)
        case inputs.RefreshNotHeld():
            if draft.account.refresh.ticket == happening.ticket:
                refresh_rules.not_held(draft)
        case inputs.TokenWanted():
            token_rules.wanted(draft, happening)
        case inputs.ProfileRead():
            _profile_read(draft, happening)
        case inputs.SocketOpened():
            link_rules.opened(draft, happening)
        case inputs.SocketLost():
            link_rules.lost(draft, happening)
        case inputs.MessageReceived():
            link_rules.received(draft, happening)
        case inputs.ReplicaRead():
            flow_rules.replica_read(draft, happening)
        case inputs.ReplicaPrepared():
            link_rules.prepared(draft, happening)
        case inputs.BatchCut():
            flow_rules.batch_cut(draft, happening)
        case inputs.InFlightLoaded():
            flow_rules.in_flight_loaded(draft, happening)
        case inputs.BatchesAcknowledged():
            flow_rules.batches_acknowledged(draft, happening)
        case inputs.ChangesApplied():
            flow_rules.changes_applied(draft, happening)
        case inputs.ReplicaFailed():
            link_rules.replica_failed(draft, happening)
        case _:
            assert_never(happening)
