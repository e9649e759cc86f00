"""The ASGI entry point; refuses to start with wrong settings."""

import os

from django.core.asgi import get_asgi_application

from crm_mail.checks import refuse_if_wrong

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm_mail.settings")
application = get_asgi_application()
refuse_if_wrong()
