"""Finding out who runs the mail of a domain that the lookup does not know: the DNS now, other ways later."""
