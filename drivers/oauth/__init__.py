"""Signing in without passwords: OAuth 2.0 (RFC 6749, 9700) with PKCE (RFC 7636) and OpenID Connect for the identity.

One interface (`flow.SignInService`), three services. Invariant: no token, code or secret is in a repr or an exception.
"""
