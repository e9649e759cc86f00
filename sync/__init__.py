"""Work with the mail server: enumerate, claim, fetch, settle."""
