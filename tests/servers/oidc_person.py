"""A person before the authorization server's own pages, without a browser: signs in, agrees or refuses."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urljoin, urlsplit

import requests


def walk(url: str, address: str, *, ca_file: str, agrees: bool = True) -> dict[str, str]:
    """Follow the sign-in from `url` until it leaves the server; returns the query of the callback."""
    session = requests.Session()
    session.trust_env = False
    session.verify = ca_file
    home = urlsplit(url).netloc
    for _step in range(20):
        answer = session.get(url, allow_redirects=False, timeout=30)
        while answer.status_code == 200:
            page = answer.text
            if not agrees and 'name="prompt" value="consent"' in page:
                url = urljoin(answer.url, re.search(r'href="([^"]*/abort)"', page)[1])
                break
            action = urljoin(answer.url, re.search(r'action="([^"]+)"', page)[1])
            form = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page))
            if 'name="login"' in page:
                form |= {"login": address, "password": "any"}
            answer = session.post(action, data=form, allow_redirects=False, timeout=30)
        else:
            url = urljoin(answer.url, answer.headers["Location"])
        if urlsplit(url).netloc != home:
            return dict(parse_qsl(urlsplit(url).query))
    raise AssertionError("The sign-in never ended.")
