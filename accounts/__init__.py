"""Users, email accounts, shares, credentials, the wizard's states, open connections."""
