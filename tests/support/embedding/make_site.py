"""Makes the database of the Django site in the working directory, with one account. Arguments: name, password."""

from __future__ import annotations

import os
import sys

import django
from django.core.management import call_command

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
sys.path.insert(0, ".")
django.setup()
call_command("migrate", verbosity=0)

from django.contrib.auth.models import User  # noqa: E402 - after the setup

User.objects.create_user(sys.argv[1], password=sys.argv[2])
