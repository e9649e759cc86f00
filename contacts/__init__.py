"""The store of people and companies."""
