"""The WSGI entry point; refuses to start with wrong settings."""

import os

from django.core.wsgi import get_wsgi_application

from crm_mail.checks import refuse_if_wrong

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm_mail.settings")
application = get_wsgi_application()
refuse_if_wrong()
