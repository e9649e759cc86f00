"""TLS is checked against the name that was asked for; each problem has its own word."""

import socket
import ssl
import threading

import pytest

from base import net
from tests.servers.certificates import TestAuthority

LOOPBACK = ("127.0.0.0/8", "::1/128")


class TlsServer:
    """Accepts, shakes hands and says hello."""

    def __init__(self, tmp_path, issued, versions=None):
        (tmp_path / "c.pem").write_text(issued.certificate)
        (tmp_path / "k.pem").write_text(issued.key)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
        self.names = []
        self.context.sni_callback = lambda sock, name, context: self.names.append(name)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        client, _ = self.listener.accept()
        client.settimeout(5)
        try:
            with self.context.wrap_socket(client, server_side=True) as tls:
                tls.sendall(b"hello")
                tls.recv(10)
        except OSError:
            client.close()


def connect(port, pem, host="localhost"):
    return net.open_connection(net.Target(host, port, LOOPBACK, 5), security="ssl", ca_bundle=pem)


def test_a_good_certificate_connects_with_the_name_sent(tmp_path):
    authority = TestAuthority()
    server = TlsServer(tmp_path, authority.issue("localhost"))
    with connect(server.port, authority.pem) as sock:
        assert sock.recv(5) == b"hello"
        assert sock.version() in ("TLSv1.2", "TLSv1.3")
    assert server.names == ["localhost"]


@pytest.mark.parametrize(
    ("names", "options", "problem"),
    [
        (["mail.example.com"], {}, "name"),
        (["localhost"], {"expired": True}, "expired"),
        (["localhost"], {"self_signed": True}, "self_signed"),
    ],
)
def test_a_bad_certificate_is_named(tmp_path, names, options, problem):
    authority = TestAuthority()
    server = TlsServer(tmp_path, authority.issue(*names, **options))
    with pytest.raises(net.TlsFailed) as caught:
        connect(server.port, authority.pem)
    assert (caught.value.problem, caught.value.host) == (problem, "localhost")


def test_another_authority_is_untrusted_and_the_systems_too(tmp_path):
    for pem in (TestAuthority("Other").pem, ""):
        server = TlsServer(tmp_path, TestAuthority().issue("localhost"))
        with pytest.raises(net.TlsFailed) as caught:
            connect(server.port, pem)
        assert caught.value.problem in ("untrusted", "self_signed")


def test_a_broken_authority_file_is_a_tls_failure(tmp_path):
    server = TlsServer(tmp_path, TestAuthority().issue("localhost"))
    with pytest.raises(net.TlsFailed):
        connect(server.port, "-----BEGIN CERTIFICATE-----\nrubbish\n-----END CERTIFICATE-----\n")


def test_a_server_that_speaks_no_tls_is_a_protocol_failure():
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        client, _ = listener.accept()
        client.sendall(b"* OK plain text here\r\n" * 20)

    threading.Thread(target=serve, daemon=True).start()
    with pytest.raises(net.TlsFailed) as caught:
        connect(listener.getsockname()[1], "")
    assert caught.value.problem == "protocol"


def test_a_silent_server_times_out():
    listener = socket.create_server(("127.0.0.1", 0))
    with pytest.raises(net.TimedOut):
        net.open_connection(net.Target("127.0.0.1", listener.getsockname()[1], LOOPBACK, 0.3), security="ssl")


def test_nothing_listening_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(net.Refused):
        net.open_connection(net.Target("127.0.0.1", port, LOOPBACK, 2), security="none")
