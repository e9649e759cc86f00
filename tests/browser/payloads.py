"""Hostile HTML out of the corpora, as bodies of mail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

OWN = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)></svg>",
    '<a href="javascript:alert(1)">x</a>',
    '<a href="javascript:alert(1)" target="_blank">x</a>',
    '<a href="javascript:alert(1)" target="_top">x</a>',
    '<iframe src="javascript:parent.alert(1)"></iframe>',
    '<iframe srcdoc="&lt;script&gt;alert(1)&lt;/script&gt;"></iframe>',
    '<meta http-equiv="refresh" content="0;url=http://remote.example/refresh">',
    '<link rel="preconnect" href="http://remote.example"><link rel="dns-prefetch" href="//remote.example">',
    '<link rel="stylesheet" href="http://remote.example/a.css"><link rel="prefetch" href="http://remote.example/p">',
    '<base href="http://remote.example/"><img src="a.png">',
    '<style>@import url(http://remote.example/a.css); body { background: url(http://remote.example/b.png) }</style>',
    '<video src="http://remote.example/v.mp4" poster="http://remote.example/p.png" autoplay></video>',
    '<form action="http://remote.example/f"><input name=a value=b autofocus onfocus=alert(1)><button>x</button></form>',
    '<object data="http://remote.example/o.swf"></object><embed src="http://remote.example/e.swf">',
    '<img srcset="http://remote.example/s.png 1x" src="//remote.example/t.png">',
    '<table background="http://remote.example/t.gif"><tr><td>x</td></tr></table>',
    '<picture><source srcset="http://remote.example/w.webp"><img alt="x"></picture>',
)  # fmt: skip


def payloads(corpus: Path) -> list[str]:
    """Every HTML input of the corpora and some of our own, each once."""
    folder = corpus / "html"
    found = list(OWN)
    found += [path.read_text("utf-8", "replace") for path in sorted(folder.glob("bleach/*.test"))]
    found += [path.read_text("utf-8", "replace") for path in sorted(folder.glob("lxml-clean/*.txt"))]
    found += [path.read_text("utf-8", "replace") for path in sorted(folder.glob("mimekit-tokens/*/*.html"))]
    for path in sorted(folder.glob("*/*.json")):
        strings = _strings(json.loads(path.read_text("utf-8")))
        found += [f"<style>{one}</style>" for one in strings] if "css" in path.name else strings
    return list(dict.fromkeys(one for one in found if "<" in one))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _strings(item)
