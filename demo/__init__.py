"""The demo's mail server: real IMAP and SMTP on loopback, with mailboxes of an invented lighting maker in Bergen.

Invariant: everything is written once, on the first start; afterwards the folders are only a mail server's, so UIDs and
UIDVALIDITY survive a restart. No room of the application imports this package; only `DEMO_USERS` is read by the seed.
"""
