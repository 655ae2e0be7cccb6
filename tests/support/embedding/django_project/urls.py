"""The site's pages: signing in, and ending the sync sessions of whom a view knows."""

from __future__ import annotations

from asgiref.sync import async_to_sync
from django.contrib.auth import authenticate, login
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path


def sign_in(request: HttpRequest) -> HttpResponse:
    user = authenticate(request, username=request.GET["name"], password=request.GET["password"])
    if user is None:
        return HttpResponse(status=401)
    login(request, user)
    return JsonResponse({"user": user.pk})


def sign_out_everywhere(request: HttpRequest) -> HttpResponse:
    """A plain view, in a thread: it reaches the server in its event loop."""
    from asgi import server  # noqa: PLC0415 - the project's own module, which imports this one

    user_id = async_to_sync(server.user_id_of)(str(request.user.pk))
    ended = async_to_sync(server.revoke_user)(user_id)
    return JsonResponse({"ended": ended})


urlpatterns = [
    path("sign-in", sign_in),
    path("sign-out-everywhere", sign_out_everywhere),
]
