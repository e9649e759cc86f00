"""The ASGI entry point; refuses to start with wrong settings."""

import os
from importlib import import_module

from django.conf import settings
from django.core.asgi import get_asgi_application

from base.process import collect_seldom
from crm_mail.checks import refuse_if_wrong

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm_mail.settings")
application = get_asgi_application()
refuse_if_wrong()
import_module(settings.ROOT_URLCONF)  # with all views: not at the first request
collect_seldom()
