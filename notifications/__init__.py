"""Who must know what."""
