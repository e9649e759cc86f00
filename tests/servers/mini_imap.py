"""A small scripted IMAP server in memory: the ground of `gmail` and `poor`.

It refuses (BAD) every command and extension that its capabilities do not announce, so a client that only looks at
names is found out. It answers FETCH items in shuffled order among unsolicited responses when `noise` is on.
"""

from __future__ import annotations

import base64
import random
import re
import select
import socketserver
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import parsedate_to_datetime
from typing import Self

from imapclient import imap_utf7

from drivers.types import Login, Security, ServerAddress

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
PASSWORD = "right-Horse 7"


@dataclass
class Content:
    """A message, once; labels are Gmail's."""

    raw: bytes
    received_at: datetime
    msgid: int = 0
    thrid: int = 0
    labels: set[str] = field(default_factory=set)
    flags: set[str] = field(default_factory=set)


@dataclass
class Copy:
    """A message in a folder."""

    uid: int
    content: Content
    modseq: int
    flags: set[str]


class Folder:
    """UIDs, changes and copies of one folder."""

    def __init__(self, name: str, epoch: int, attributes: tuple[str, ...] = ()) -> None:
        self.name = name
        self.attributes = attributes
        self.epoch = epoch
        self.uidnext = 1
        self.modseq = 1
        self.copies: list[Copy] = []

    def add(self, content: Content, flags: Iterable[str] = ()) -> int:
        """A new copy; its UID."""
        self.modseq += 1
        copy = Copy(self.uidnext, content, self.modseq, set(flags))
        self.copies.append(copy)
        self.uidnext += 1
        return copy.uid

    def renumber(self) -> None:
        """A new UIDVALIDITY."""
        contents = [(copy.content, copy.flags) for copy in self.copies]
        self.epoch += 1
        self.uidnext, self.copies = 1, []
        for content, flags in contents:
            self.add(content, flags)


class MiniImap:
    """The server; subclasses change `capabilities`, `folders` and the hooks `added`, `removed`."""

    capabilities: tuple[str, ...] = ("IMAP4rev1",)
    separator: str | None = "/"
    greeting = "OK mini ready"
    status_of_open = True  # whether STATUS answers for the open folder

    def __init__(self, *, noise: bool = False, users: dict[str, str] | None = None) -> None:
        self.users = users or {"anna@example.com": PASSWORD}
        self.noise = noise
        self.random = random.Random(7)
        self.folders: dict[str, Folder] = {}
        self.log: list[str] = []
        self.heard: list[str] = []  # whole commands, what was quoted or sent as a literal with a leading "="
        self.is_deaf = False  # IDLE tells nothing (an unreliable server)
        self.refuse: dict[str, str] = {}  # command -> the whole tagged rest ("NO [UNAVAILABLE] later")
        self.on_command: Callable[[str], None] | None = None
        self.lock = threading.RLock()
        self.add_folder("INBOX")
        self._server = _Server(("127.0.0.1", 0), _Session)
        self._server.mini = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    # life

    def start(self) -> Self:
        """Listen."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        return int(self._server.server_address[1])

    def address(self, *, timeout: float = 10.0, port: int | None = None) -> ServerAddress:
        """For a driver."""
        return ServerAddress("127.0.0.1", port or self.port, Security.NONE, "", ("127.0.0.0/8",), timeout)

    def login(self) -> Login:
        """The first user."""
        name = next(iter(self.users))
        return Login(name, self.users[name])

    # mail

    def add_folder(self, name: str, *attributes: str) -> Folder:
        """A new folder."""
        self.folders[name] = Folder(name, 1000 + len(self.folders), attributes)
        return self.folders[name]

    def add_message(
        self, folder: str, raw: bytes, *, flags: Iterable[str] = (), received_at: datetime | None = None
    ) -> str:
        """Deliver; the key in that folder."""
        with self.lock:
            content = Content(raw, (received_at or datetime.now(UTC)).replace(microsecond=0))
            return str(self.added(self.folders[folder], content, flags))

    def remove_message(self, folder: str, key: str) -> None:
        """Expunge, as another client would."""
        with self.lock:
            self.removed(self.folders[folder], {int(key)})

    def flag_message(self, folder: str, key: str, *flags: str) -> None:
        """Set the flags of a copy, as another client would."""
        with self.lock:
            box = self.folders[folder]
            for copy in box.copies:
                if copy.uid == int(key):
                    box.modseq += 1
                    copy.modseq, copy.flags = box.modseq, set(flags)

    def added(self, folder: Folder, content: Content, flags: Iterable[str]) -> int:
        """Hook: a message comes into a folder."""
        return folder.add(content, flags)

    def removed(self, folder: Folder, uids: set[int]) -> None:
        """Hook: copies are expunged."""
        folder.copies = [copy for copy in folder.copies if copy.uid not in uids]

    def moved(self, folder: Folder, uids: set[int], target: Folder) -> list[tuple[int, int]]:
        """Hook: MOVE."""
        pairs = [(c.uid, self.added(target, c.content, c.flags)) for c in list(folder.copies) if c.uid in uids]
        self.removed(folder, uids)
        return pairs

    def labels_of(self, copy: Copy, folder: Folder) -> str:
        """X-GM-LABELS without parentheses."""
        return ""


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    mini: MiniImap


class _Session(socketserver.StreamRequestHandler):
    server: _Server
    disable_nagle_algorithm = True

    def handle(self) -> None:
        self.mini = self.server.mini
        self.signed_in = False
        self.folder: Folder | None = None
        self.writable = False
        self.view: list[int] = []
        self.condstore = False
        self.say(f"* {self.mini.greeting}")
        try:
            while (command := self.read_command()) is not None:
                if not self.run(*command):
                    return
        except OSError:
            return

    def say(self, line: str | bytes) -> None:
        self.wfile.write((line.encode("utf-8") if isinstance(line, str) else line) + b"\r\n")

    def read_command(self) -> tuple[str, str, list[bytes]] | None:
        line = self.rfile.readline()
        if not line:
            return None
        tokens: list[bytes] = []
        while True:
            match = re.search(rb"\{(\d+)(\+?)\}\r\n$", line)
            tokens += _tokens(line[: match.start()] if match else line)
            if match is None:
                break
            if match.group(2) and "LITERAL+" not in self.mini.capabilities:
                self.say("* BYE no such literal")
                return None
            if not match.group(2):
                self.say("+ go on")
            tokens.append(b"=" + self.rfile.read(int(match.group(1))))
            line = self.rfile.readline()
        if len(tokens) < 2:
            self.say("* BAD what?")
            return self.read_command()
        name = tokens[1].decode("latin-1").upper()
        rest = tokens[2:]
        if name == "UID" and rest:
            name, rest = "UID " + rest[0].decode("latin-1").upper(), rest[1:]
        return tokens[0].decode("latin-1"), name, rest

    def run(self, tag: str, name: str, args: list[bytes]) -> bool:
        mini = self.mini
        mini.log.append(name)
        mini.heard.append(" ".join([name, *(one.decode("latin-1") for one in args)]))
        if mini.on_command is not None:
            mini.on_command(name)
        if name in mini.refuse:
            self.say(f"{tag} {mini.refuse[name]}")
            return True
        method = getattr(self, "do_" + name.replace(" ", "_").lower(), None)
        needed = {
            "IDLE": "IDLE",
            "UNSELECT": "UNSELECT",
            "UID MOVE": "MOVE",
            "UID EXPUNGE": "UIDPLUS",
            "ENABLE": "ENABLE",
            "ID": "ID",
        }.get(name)
        if method is None or (needed and needed not in mini.capabilities):
            self.say(f"{tag} BAD unknown command")
            return True
        open_to_all = name in ("CAPABILITY", "NOOP", "LOGOUT", "LOGIN", "AUTHENTICATE", "ID")
        if not self.signed_in and not open_to_all:
            self.say(f"{tag} NO not signed in")
            return True
        if name == "IDLE":  # without the lock: it lasts
            self.say(f"{tag} {self.idle()}")
            return True
        with mini.lock:
            answer = method(args)
        self.say(f"{tag} {answer or 'OK done'}")
        return name != "LOGOUT"

    def idle(self) -> str:
        """Tell changes until DONE."""
        self.say("+ idling")
        while not select.select([self.connection], [], [], 0.02)[0]:
            if not self.mini.is_deaf:
                with self.mini.lock:
                    self.refresh()
        return "OK done" if self.rfile.readline().strip().upper() == b"DONE" else "BAD done?"

    def do_idle(self, args: list[bytes]) -> str:
        raise AssertionError("handled by `run`")

    # any state

    def do_capability(self, args: list[bytes]) -> str:
        self.say("* CAPABILITY " + " ".join(self.mini.capabilities))
        return ""

    def do_noop(self, args: list[bytes]) -> str:
        self.refresh()
        return ""

    def do_logout(self, args: list[bytes]) -> str:
        self.say("* BYE bye")
        return ""

    def do_id(self, args: list[bytes]) -> str:
        self.say("* ID NIL")
        return ""

    def do_enable(self, args: list[bytes]) -> str:
        self.say("* ENABLED")
        return ""

    def do_login(self, args: list[bytes]) -> str:
        return self.judge(_text(args[0]), _text(args[1]))

    def do_authenticate(self, args: list[bytes]) -> str:
        kind = args[0].upper()
        if len(args) > 1:
            answer = args[1]
        else:
            self.say("+ ")
            answer = self.rfile.readline().strip()
        text = base64.b64decode(answer).decode("utf-8")
        if kind == b"PLAIN":
            _, user, password = text.split("\0")
            return self.judge(user, password)
        match = re.match("user=(.*?)\x01auth=Bearer (.*?)\x01\x01", text)
        verdict = self.judge(match.group(1), match.group(2)) if match else "BAD what"
        if not verdict.startswith("OK"):
            self.say("+ " + base64.b64encode(b'{"status":"401","schemes":"bearer"}').decode())
            self.rfile.readline()
        return verdict

    def judge(self, user: str, password: str) -> str:
        if self.mini.users.get(user) == password:
            self.signed_in = True
            return "OK signed in"
        return "NO [AUTHENTICATIONFAILED] Authentication failed."

    # folders

    def do_list(self, args: list[bytes]) -> str:
        if any(b"(" in arg for arg in args) and "LIST-EXTENDED" not in self.mini.capabilities:
            return "BAD extended list"
        delimiter = f'"{self.mini.separator}"' if self.mini.separator else "NIL"
        for folder in self.mini.folders.values():
            attributes = folder.attributes if "SPECIAL-USE" in self.mini.capabilities else ()
            self.say(f"* LIST ({' '.join(attributes)}) {delimiter} {_wire(folder.name)}")
        return ""

    def do_status(self, args: list[bytes]) -> str:
        folder = self.named(args[0])
        if folder is None:
            return "NO [NONEXISTENT] Unknown Mailbox"
        if folder is self.folder and not self.mini.status_of_open:
            return "BAD the folder is open"
        figures = {
            # An open folder is answered with the session's old view, as Dovecot does.
            "MESSAGES": len(self.view) if folder is self.folder else len(folder.copies),
            "UIDNEXT": folder.uidnext,
            "UIDVALIDITY": folder.epoch,
            "UNSEEN": sum("\\Seen" not in copy.flags for copy in folder.copies),
            "HIGHESTMODSEQ": folder.modseq,
        }
        wanted = args[1].decode().strip("()").split()
        if "HIGHESTMODSEQ" in wanted and "CONDSTORE" not in self.mini.capabilities:
            return "BAD unknown status item"
        self.say(f"* STATUS {_wire(folder.name)} ({' '.join(f'{one} {figures[one]}' for one in wanted)})")
        return ""

    def do_select(self, args: list[bytes], writable: bool = True) -> str:
        if len(args) > 1 and "CONDSTORE" not in self.mini.capabilities:
            return "BAD no parameters"
        self.folder = self.named(args[0])
        if self.folder is None:
            return "NO [NONEXISTENT] Unknown Mailbox"
        self.writable = writable
        self.condstore = len(args) > 1
        self.view = [copy.uid for copy in self.folder.copies]
        self.say("* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)")
        self.say(f"* {len(self.view)} EXISTS")
        self.say("* 0 RECENT")
        self.say(f"* OK [UIDVALIDITY {self.folder.epoch}] ok")
        self.say(f"* OK [UIDNEXT {self.folder.uidnext}] ok")
        if "CONDSTORE" in self.mini.capabilities:
            self.say(f"* OK [HIGHESTMODSEQ {self.folder.modseq}] ok")
        return "OK [READ-WRITE] done" if writable else "OK [READ-ONLY] done"

    def do_examine(self, args: list[bytes]) -> str:
        return self.do_select(args, writable=False)

    def do_unselect(self, args: list[bytes]) -> str:
        self.folder = None
        return ""

    def do_close(self, args: list[bytes]) -> str:
        if self.folder is not None and self.writable:
            self.do_expunge(args)
        self.folder = None
        return ""

    def named(self, argument: bytes) -> Folder | None:
        name = _text(argument)
        decoded = imap_utf7.decode(name.encode("latin-1", "replace"))
        return self.mini.folders.get("INBOX" if decoded.upper() == "INBOX" else decoded)

    def refresh(self) -> None:
        if self.folder is None:
            return
        now = [copy.uid for copy in self.folder.copies]
        for index in range(len(self.view) - 1, -1, -1):
            if self.view[index] not in now:
                self.say(f"* {index + 1} EXPUNGE")
                del self.view[index]
        if len(now) > len(self.view):
            self.view = now
            self.say(f"* {len(now)} EXISTS")

    # messages

    def chosen(self, text: bytes) -> list[Copy]:
        assert self.folder is not None
        top = max(self.view, default=0)
        uids: set[int] = set()
        for word in text.decode().split(","):
            low, _, high = word.partition(":")
            first = top if low == "*" else int(low)
            last = first if not high else top if high == "*" else int(high)
            first, last = min(first, last), max(first, last)
            uids |= {uid for uid in self.view if first <= uid <= last}
        return [copy for copy in self.folder.copies if copy.uid in uids]

    def do_uid_search(self, args: list[bytes]) -> str:
        if self.folder is None:
            return "BAD no folder"
        if args and args[0].upper() == b"RETURN":
            return "BAD no esearch"
        copies = [copy for copy in self.folder.copies if copy.uid in self.view]
        words = list(args)
        while words:
            key = words.pop(0).upper()
            if key == b"UID":
                uids = {copy.uid for copy in self.chosen(words.pop(0))}
                copies = [copy for copy in copies if copy.uid in uids]
            elif key == b"SINCE":
                day, month, year = words.pop(0).decode().split("-")
                since = datetime(int(year), MONTHS.index(month) + 1, int(day), tzinfo=UTC)
                copies = [copy for copy in copies if copy.content.received_at >= since]
            elif key == b"HEADER":
                name, value = words.pop(0).decode(), _text(words.pop(0)).lower()
                copies = [copy for copy in copies if value in (_headers(copy.content.raw)[name] or "").lower()]
            elif key in (b"FROM", b"SUBJECT"):
                value = _text(words.pop(0)).lower()
                copies = [copy for copy in copies if value in (_headers(copy.content.raw)[key.decode()] or "").lower()]
            elif key == b"CHARSET":
                words.pop(0)
            elif key == b"DELETED":
                copies = [copy for copy in copies if "\\Deleted" in copy.flags]
            elif key != b"ALL":
                return "BAD unknown search key"
        self.say("* SEARCH " + " ".join(str(copy.uid) for copy in copies))
        return ""

    def do_uid_fetch(self, args: list[bytes]) -> str:
        if self.folder is None:
            return "BAD no folder"
        copies = self.chosen(args[0])
        if len(args) > 2:
            match = re.fullmatch(rb"\(CHANGEDSINCE (\d+)\)", args[2].upper())
            if match is None or "CONDSTORE" not in self.mini.capabilities:
                return "BAD unknown modifier"
            copies = [copy for copy in copies if copy.modseq > int(match.group(1))]
        wanted = _fetch_items(args[1])
        for copy in copies:
            self.say_noise()
            items = [self.item(copy, name) for name in wanted]
            if "UID" not in wanted:
                items.append(self.item(copy, "UID"))
            if len(args) > 2 and "MODSEQ" not in wanted:
                items.append(self.item(copy, "MODSEQ"))
            if self.mini.noise:
                self.mini.random.shuffle(items)
            self.wfile.write(b"* %d FETCH (" % (self.view.index(copy.uid) + 1) + b" ".join(items) + b")\r\n")
        return ""

    def do_fetch(self, args: list[bytes]) -> str:
        index = int(args[0])
        self.say(f"* {index} FETCH (UID {self.view[index - 1]})")
        return ""

    def say_noise(self) -> None:
        if self.mini.noise and self.mini.random.random() < 0.3:
            self.say(self.mini.random.choice(["* OK still here", "* 1 FETCH (FLAGS (\\Seen))", "* 0 RECENT"]))

    def item(self, copy: Copy, name: str) -> bytes:
        raw = copy.content.raw
        assert self.folder is not None
        if name == "UID":
            return b"UID %d" % copy.uid
        if name == "FLAGS":
            return f"FLAGS ({' '.join(sorted(copy.flags))})".encode()
        if name == "RFC822.SIZE":
            return b"RFC822.SIZE %d" % len(raw)
        if name == "MODSEQ":
            return b"MODSEQ (%d)" % copy.modseq
        if name == "INTERNALDATE":
            at = copy.content.received_at.astimezone(UTC)
            return f'INTERNALDATE "{at.day:2d}-{MONTHS[at.month - 1]}-{at.year} {at:%H:%M:%S} +0000"'.encode()
        if name == "BODYSTRUCTURE":
            return b"BODYSTRUCTURE " + structure(message_from_bytes(raw))
        if name == "X-GM-MSGID":
            return b"X-GM-MSGID %d" % copy.content.msgid
        if name == "X-GM-THRID":
            return b"X-GM-THRID %d" % copy.content.thrid
        if name == "X-GM-LABELS":
            return f"X-GM-LABELS ({self.mini.labels_of(copy, self.folder)})".encode()
        return self.body_item(raw, name)

    def body_item(self, raw: bytes, name: str) -> bytes:
        match = re.fullmatch(r"BODY(?:\.PEEK)?\[(.*?)\](?:<(\d+)\.(\d+)>)?", name)
        assert match is not None, name
        section = match.group(1).upper()
        head, _, text = raw.partition(b"\r\n\r\n")
        if section == "":
            data = raw
        elif section == "HEADER":
            data = head + b"\r\n\r\n"
        elif section == "TEXT":
            data = text
        elif section.startswith("HEADER.FIELDS"):
            wanted = {name.lower().encode() for name in section[section.index("(") + 1 :].rstrip(")").split()}
            fields = re.split(rb"\r\n(?![ \t])", head)
            kept = [field for field in fields if field.partition(b":")[0].lower() in wanted]
            data = b"".join(field + b"\r\n" for field in kept) + b"\r\n"
        else:
            part = _sections(message_from_bytes(raw)).get(section)
            data = _encoded(part) if part is not None else b""
        origin = b""
        if match.group(2) is not None:
            start = int(match.group(2))
            data = data[start : start + int(match.group(3))]
            origin = b"<%d>" % start
        shown = match.group(1).encode()
        return b"BODY[" + shown + b"]" + origin + b" {%d}\r\n" % len(data) + data

    def do_uid_store(self, args: list[bytes]) -> str:
        if self.folder is None or not self.writable:
            return "NO read-only"
        flags = {_cased(word) for word in args[2].decode().strip("()").split()}
        for copy in self.chosen(args[0]):
            self.folder.modseq += 1
            copy.modseq = self.folder.modseq
            copy.flags = copy.flags | flags if args[1].startswith(b"+") else copy.flags - flags
        return ""

    def do_uid_copy(self, args: list[bytes]) -> str:
        target = self.named(args[1])
        if target is None or self.folder is None:
            return "NO [TRYCREATE] no such mailbox"
        pairs = [(copy.uid, self.mini.added(target, copy.content, copy.flags)) for copy in self.chosen(args[0])]
        return f"OK {self.copyuid(target, pairs)}done"

    def do_uid_move(self, args: list[bytes]) -> str:
        target = self.named(args[1])
        if target is None or self.folder is None:
            return "NO [TRYCREATE] no such mailbox"
        pairs = self.mini.moved(self.folder, {copy.uid for copy in self.chosen(args[0])}, target)
        if code := self.copyuid(target, pairs):
            self.say(f"* OK {code}moved")
        self.refresh()
        return ""

    def copyuid(self, target: Folder, pairs: list[tuple[int, int]]) -> str:
        if "UIDPLUS" not in self.mini.capabilities or not pairs:
            return ""
        old, new = zip(*pairs, strict=True)
        return f"[COPYUID {target.epoch} {','.join(map(str, old))} {','.join(map(str, new))}] "

    def do_uid_expunge(self, args: list[bytes]) -> str:
        self.expunge({copy.uid for copy in self.chosen(args[0]) if "\\Deleted" in copy.flags})
        return ""

    def do_expunge(self, args: list[bytes]) -> str:
        assert self.folder is not None
        self.expunge({copy.uid for copy in self.folder.copies if "\\Deleted" in copy.flags})
        return ""

    def expunge(self, uids: set[int]) -> None:
        assert self.folder is not None
        self.mini.removed(self.folder, uids)
        self.refresh()

    def do_append(self, args: list[bytes]) -> str:
        folder = self.named(args[0])
        if folder is None:
            return "NO [TRYCREATE] no such mailbox"
        flags = {_cased(word) for word in args[1].decode().strip("()").split()} if len(args) > 2 else set()
        content = Content(args[-1][1:], datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=0))
        uid = self.mini.added(folder, content, flags)
        return f"OK [APPENDUID {folder.epoch} {uid}] done" if "UIDPLUS" in self.mini.capabilities else "OK done"


_WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"|(\((?:[^()]|\([^()]*\))*\))|([^\s"\[(]*\[[^\]]*\]\S*|[^\s"(]+)')


def _tokens(line: bytes) -> list[bytes]:
    """Words, parenthesised groups whole, quoted strings marked with a leading `=` as literals are."""
    found = []
    for match in _WORD.finditer(line):
        quoted, group, word = match.groups()
        found.append(b"=" + re.sub(rb"\\(.)", rb"\1", quoted) if quoted is not None else group or word)
    return found


def _text(token: bytes) -> str:
    return (token[1:] if token.startswith(b"=") else token).decode("utf-8")


def _cased(flag: str) -> str:
    return flag.capitalize() if not flag.startswith("\\") else "\\" + flag[1:].capitalize()


def _wire(name: str) -> str:
    encoded = bytes(imap_utf7.encode(name)).decode("ascii")
    return '"' + encoded.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _fetch_items(text: bytes) -> list[str]:
    return re.findall(r"[A-Z0-9.\-]+(?:\[[^\]]*\](?:<\d+\.\d+>)?)?", text.decode().strip()[1:-1], re.I)


def _headers(raw: bytes) -> Message:
    return BytesHeaderParser().parsebytes(raw)


def _sections(message: Message, prefix: str = "") -> dict[str, Message]:
    if message.get_content_maintype() != "multipart":
        return {prefix or "1": message}
    found: dict[str, Message] = {}
    for number, child in enumerate(message.get_payload(), 1):
        found.update(_sections(child, f"{prefix}.{number}" if prefix else str(number)))
    return found


def _encoded(part: Message) -> bytes:
    """The body of a part as it lies in the message."""
    if part.get_content_type() == "message/rfc822":
        return b"".join(child.as_bytes() for child in part.get_payload())
    payload = part.get_payload()
    return payload.encode("utf-8", "surrogateescape").replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _quoted(text: str | None) -> bytes:
    if text is None:
        return b"NIL"
    return b'"' + text.encode("utf-8", "replace").replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _pairs(params: list[tuple[str, str]]) -> bytes:
    if not params:
        return b"NIL"
    return b"(" + b" ".join(_quoted(str(name)) + b" " + _quoted(str(value)) for name, value in params) + b")"


def structure(part: Message) -> bytes:
    """BODYSTRUCTURE of a parsed message (attached messages as plain leaves)."""
    params = (part.get_params(failobj=[], unquote=True) or [])[1:]
    disposition = b"NIL"
    if part.get_content_disposition():
        inner = (part.get_params(header="Content-Disposition", failobj=[]) or [])[1:]
        disposition = b"(" + _quoted(part.get_content_disposition()) + b" " + _pairs(inner) + b")"
    if part.get_content_maintype() == "multipart":
        children = b"".join(structure(child) for child in part.get_payload())
        return b"(" + children + b" " + _quoted(part.get_content_subtype()) + b" " + _pairs(params) + b" NIL NIL)"
    body = _encoded(part)
    words = [
        _quoted(part.get_content_maintype()),
        _quoted(part.get_content_subtype()),
        _pairs(params),
        _quoted(part.get("Content-ID")),
        b"NIL",
        _quoted(part.get("Content-Transfer-Encoding", "7bit")),
        b"%d" % len(body),
    ]
    if part.get_content_maintype() == "text":
        words.append(b"%d" % body.count(b"\n"))
    return b"(" + b" ".join([*words, b"NIL", disposition, b"NIL", b"NIL"]) + b")"


def date_of(raw: bytes) -> datetime:
    """The Date header, for servers that go by it."""
    return parsedate_to_datetime(_headers(raw)["Date"])
