"""A tiny DNS server on loopback (UDP): answers MX questions from a dict, or misbehaves on request."""

from __future__ import annotations

import socket
import threading
from types import TracebackType

import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset


class DnsServer:
    """A context manager. `zones` maps a domain to (preference, host) pairs; an unknown domain is NXDOMAIN.

    `mode` is answer, silent (never answers), garbage (sends noise) or refuse.
    """

    def __init__(self, zones: dict[str, list[tuple[int, str]]], mode: str = "answer") -> None:
        self.zones = zones
        self.mode = mode
        self.asked: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._socket.getsockname()
        return host, port

    def __enter__(self) -> DnsServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join(2)
        self._socket.close()

    def _serve(self) -> None:
        while not self._is_over.is_set():
            try:
                packet, sender = self._socket.recvfrom(4096)
            except TimeoutError:
                continue
            question = dns.message.from_wire(packet)
            self.asked.append(question.question[0].name.to_text(omit_final_dot=True))
            if self.mode == "garbage":
                self._socket.sendto(packet[:2] + b"\xff" * 60, sender)
            elif self.mode != "silent":
                self._socket.sendto(self._answer(question).to_wire(max_size=65535), sender)

    def _answer(self, question: dns.message.Message) -> dns.message.Message:
        answer = dns.message.make_response(question)
        name = question.question[0].name
        records = self.zones.get(name.to_text(omit_final_dot=True))
        if self.mode == "refuse":
            answer.set_rcode(dns.rcode.REFUSED)
        elif records is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif records:
            texts = [f"{preference} {host}" for preference, host in records]
            answer.answer.append(dns.rrset.from_text(name, 60, dns.rdataclass.IN, dns.rdatatype.MX, *texts))
        return answer
