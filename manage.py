#!/usr/bin/env python
"""Django's command line for CRM Mail; operators call it as script/manage."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm_mail.settings")
    from crm_mail.command_line import run

    run(sys.argv)
