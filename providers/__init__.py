"""Who runs the mail of a domain: lookups and discovery."""
