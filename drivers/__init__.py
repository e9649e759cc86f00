"""Protocols: how a mail server is spoken to. Knows neither Django nor Celery; errors are neutral and say what to do."""
