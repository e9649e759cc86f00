"""SMTP submission: hands messages to a server (RFC 6409), never in doubt about what it does not know."""
