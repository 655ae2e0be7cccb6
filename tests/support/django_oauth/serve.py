"""A real django-oauth-toolkit on loopback: `python serve.py FOLDER PORT GRACE`, run in an environment of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.urls import include, path

USER, PASSWORD = "ann", "correct horse battery staple"
CLIENT, SECRET = "field-notes", "a secret: of the test"
urlpatterns: list[object] = []


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""


def configure(folder: Path, port: int, grace: int) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    settings.configure(
        DEBUG=False,
        ALLOWED_HOSTS=["127.0.0.1"],
        SECRET_KEY="one test long",
        ROOT_URLCONF=__name__,
        LOGIN_URL="/accounts/login/",
        USE_TZ=True,
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "db.sqlite3"}
        },
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "oauth2_provider",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "DIRS": [Path(__file__).parent],
                "APP_DIRS": True,
            }
        ],
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        OAUTH2_PROVIDER={
            "OIDC_ENABLED": True,
            "OIDC_ISS_ENDPOINT": f"http://127.0.0.1:{port}/o",
            "OIDC_RSA_PRIVATE_KEY": pem.decode(),
            "PKCE_REQUIRED": True,
            "SCOPES": {"openid": "who you are", "read": "read"},
            "ACCESS_TOKEN_EXPIRE_SECONDS": 60,
            "REFRESH_TOKEN_EXPIRE_SECONDS": 3600,
            "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": grace,
            "REFRESH_TOKEN_REUSE_PROTECTION": True,
            "ROTATE_REFRESH_TOKEN": True,
        },
    )


def fill() -> None:
    """Make the tables, one person and one client for each grant."""
    from django.contrib.auth.models import User  # noqa: PLC0415 - only once Django is set up
    from oauth2_provider.models import Application  # noqa: PLC0415 - as above

    call_command("migrate", verbosity=0)
    User.objects.create_user(USER, password=PASSWORD)
    Application.objects.create(
        client_id=CLIENT,
        client_type="public",
        client_secret="",
        authorization_grant_type="authorization-code",
        redirect_uris="http://127.0.0.1/callback",
        algorithm="RS256",
    )
    Application.objects.create(
        client_id="with-password",
        client_type="confidential",
        client_secret=SECRET,
        authorization_grant_type="password",
        algorithm="RS256",
    )


def main() -> None:
    folder, port, grace = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    configure(folder, port, grace)
    django.setup()
    from django.contrib.auth import views  # noqa: PLC0415 - only once Django is set up

    login = views.LoginView.as_view(template_name="login.html")
    urlpatterns.append(path("accounts/login/", login))
    urlpatterns.append(path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")))
    fill()
    application = get_wsgi_application()
    with make_server("127.0.0.1", port, application, Server, Quiet) as server:
        print(json.dumps({"url": f"http://127.0.0.1:{port}"}), flush=True)  # noqa: T201 - it is waited for
        server.serve_forever()


if __name__ == "__main__":
    main()
