"""One message taken in: parse, store, thread, link, notify."""
