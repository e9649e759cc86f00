"""The ground: addresses, guarded connections, crypto, jail. Django only in base.fields and base.models."""
