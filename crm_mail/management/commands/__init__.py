"""The commands of the whole: preparing, demo data, keys."""
