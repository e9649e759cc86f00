"""What a screen composes from several rooms."""
