"""Push by streaming notifications: exchangelib reads a standing answer in a thread, which rings a socket pair.

Invariants: the line is a connection of its own, apart from those that fetch; `MAX_STREAMS` threads at most in a process,
above which mailboxes are polled; an event is only a ring, never believed to be mail; closing never waits for the thread.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import Any, NoReturn

from exchangelib.services import GetStreamingEvents

from drivers import errors
from drivers.base import PushChannel
from drivers.ews import folders
from drivers.ews.driver import sign_in
from drivers.ews.faults import translate
from drivers.ews.session import Session
from drivers.ews.wire import children, element, local_name
from drivers.types import Login, ServerAddress

MAX_STREAMS = 100
MINUTES = 5  # an answer stands so long, then it is asked for again; events between the two are kept
SILENCE = MINUTES * 60 + 120.0  # seconds without any sign of life, after which the line is dead
LOOK_EVERY = 60.0
NO_STREAM = (errors.ProtocolError, errors.PermissionMissing, errors.CursorInvalid)
FORGOTTEN = "ErrorSubscriptionNotFound"
EVENTS = ("NewMailEvent", "CreatedEvent", "DeletedEvent", "ModifiedEvent", "MovedEvent")
_places = threading.BoundedSemaphore(MAX_STREAMS)


class _Stream(GetStreamingEvents):
    """exchangelib's service with raw answers; `heard_at` is the last sign of life (time.monotonic())."""

    heard_at = 0.0
    has_told = False

    def _elem_to_obj(self, elem: Any) -> Any:
        return elem

    def _get_element_container(self, message: Any, name: Any = None) -> Any:
        self.heard_at = time.monotonic()
        found = super()._get_element_container(message=message, name=name)
        self.has_told = True
        return found


class EwsPushChannel(PushChannel):
    """The inbox watched. Not opened by the constructor."""

    def __init__(self, server: ServerAddress, login: Login) -> None:
        self._session = Session(server, login)
        self._ear: socket.socket | None = None
        self._stream: _Stream | None = None
        self._error: errors.DriverError | None = None
        self._is_closing = threading.Event()
        self.due_at = 0.0

    def open(self) -> None:
        """Sign in and subscribe. Raises PushUnavailable, and what MailboxDriver.open raises."""
        if not _places.acquire(blocking=False):
            raise errors.PushUnavailable("Enough mailboxes are watched by streaming.")
        try:
            self._session.open()
            sign_in(self._session)
            subscription = self._subscribe()
            self._begin(subscription)
        except BaseException:
            _places.release()
            self._session.close()
            raise

    def _begin(self, subscription: str) -> None:
        self._ear, bell = socket.socketpair()
        self._ear.setblocking(False)
        bell.setblocking(False)
        self._stream = _Stream(account=self._session.account())
        self._stream.heard_at = time.monotonic()
        self.due_at = time.monotonic() + LOOK_EVERY
        thread = threading.Thread(target=self._listen, args=(subscription, bell), name="ews-stream", daemon=True)
        thread.start()

    def _subscribe(self) -> str:
        wish = element(
            "m:StreamingSubscriptionRequest",
            element("t:FolderIds", folders.distinguished(self._session, "inbox")),
            element("t:EventTypes", *(element("t:EventType", kind) for kind in EVENTS)),
        )
        try:
            answer = self._session.one("Subscribe", element("m:Subscribe", wish))
        except (*NO_STREAM, errors.FolderGone, errors.MessageGone) as error:
            raise errors.PushUnavailable("The server offers no streaming.", server_said=error.server_said) from error
        found = (answer.findtext("{*}SubscriptionId") or "").strip()
        if not found:
            raise errors.PushUnavailable("The server offers no streaming.")
        return found

    def close(self) -> None:
        """End it; the thread ends by itself when its connection is gone."""
        self._is_closing.set()
        self._session.abort()
        ear, self._ear = self._ear, None
        if ear is not None:
            with suppress(OSError):
                ear.close()

    def fileno(self) -> int:
        """The socket to select on."""
        return self._need().fileno()

    def on_readable(self) -> bool:
        """Whether it rang."""
        ear = self._need()
        heard = b""
        try:
            while piece := ear.recv(4096):
                heard += piece
        except BlockingIOError:
            return bool(heard)
        except OSError:
            self._lost()
        if not heard:
            self._lost()
        return True  # what it rang for last is not lost with the line

    def renew(self) -> None:
        """Nothing is sent: the server tells by itself that it lives."""
        self._need()
        stream = self._stream
        if stream is None or time.monotonic() - stream.heard_at > SILENCE:
            self.close()
            raise errors.ServerUnreachable("The server no longer answers.", kind="timeout")
        self.due_at = time.monotonic() + LOOK_EVERY

    # inside

    def _need(self) -> socket.socket:
        if self._ear is None:
            raise errors.ServerUnreachable("The connection is closed.", kind="dropped")
        return self._ear

    def _lost(self) -> NoReturn:
        error = self._error or errors.ServerUnreachable("The server broke the connection off.", kind="dropped")
        has_told = self._stream is not None and self._stream.has_told
        if not has_told and isinstance(error, NO_STREAM) and not error.server_said.startswith(FORGOTTEN):
            error = errors.PushUnavailable("The server offers no streaming.", server_said=error.server_said)
        self.close()
        raise error

    def _listen(self, subscription: str, bell: socket.socket) -> None:
        """The thread: reads one standing answer after the other until the line is gone."""
        try:
            while not self._is_closing.is_set():
                self._read(subscription, bell)
        except Exception as error:  # the listener hears of it as the end of the line
            self._error = translate(error, self._session.server.host)
        finally:
            with suppress(OSError):
                bell.close()
            self._session.close()
            _places.release()

    def _read(self, subscription: str, bell: socket.socket) -> None:
        stream = self._stream
        assert stream is not None
        before = stream.heard_at
        for notification in stream.call(subscription_ids=[subscription], connection_timeout=MINUTES):
            if isinstance(notification, Exception):
                raise notification
            if any(
                local_name(one).endswith("Event") and local_name(one) != "StatusEvent" for one in children(notification)
            ):
                with suppress(BlockingIOError):  # full: it rings already
                    bell.send(b"!")
        if stream.heard_at == before:
            raise errors.ServerUnreachable("The server broke the connection off.", kind="dropped")
