"""Who is a mail about: links with their reasons."""
