"""A hundred mailboxes of rows, written by PostgreSQL itself: quick, and believable to the planner."""

from __future__ import annotations

from bench.instance import Instance
from tests.servers.postgres import PostgresServer

ACCOUNTS = 100
ID_HASH = "hashtextextended('m' || n || '@customer.example', 0)"  # spread over the index, as real ones are
THREAD = 4  # messages of a long thread; every fourth message stands alone

USERS = """
INSERT INTO accounts_user (username, email, name, password, first_name, last_name, is_superuser, is_staff, is_active,
  date_joined, is_mail_administrator, time_zone, theme, density)
SELECT login, login || '@crm.example', login, '', '', '', false, false, true, now(), false, 'UTC', 'system', 'comfortable'
FROM unnest(ARRAY['all', 'one', 'nobody']) AS login
"""


def fill(instance: Instance, count: int) -> None:
    """Users, mailboxes, contacts, threads, messages, contents, addresses, copies, links."""
    server = instance.server
    _defaults(server)
    server.execute(USERS, database="crm_mail")
    for statement in _statements(count):
        _run(server, statement)
    _run(server, "ANALYZE")


def _defaults(server: PostgresServer) -> None:
    """Neutral defaults in this database only: a column that a room adds must not break the statements below."""
    neutral = {"character varying": "''", "text": "''", "boolean": "false", "integer": "0", "smallint": "0"}
    columns = server.rows(
        "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'"
        " AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'",
        database="crm_mail",
    )
    for table, column, kind in columns:
        if kind in neutral:
            _run(server, f'ALTER TABLE "{table}" ALTER COLUMN "{column}" SET DEFAULT {neutral[kind]}')


def _run(server: PostgresServer, statement: str) -> None:
    server.execute(statement, database="crm_mail")


def _insert(server_table: str, values: dict[str, str], source: str) -> str:
    return f"INSERT INTO {server_table} ({', '.join(values)}) SELECT {', '.join(values.values())} FROM {source}"  # noqa: S608


def _statements(count: int) -> list[str]:
    series = f"generate_series(1, {count}) AS n"
    thread = f"((n - 1) / {THREAD + 1}) * 2 + CASE WHEN (n - 1) % {THREAD + 1} = 0 THEN 1 ELSE 2 END"
    account = f"((n - 1) / {THREAD + 1}) % {ACCOUNTS} + (SELECT min(id) FROM accounts_emailaccount)"
    at = f"now() - make_interval(secs => ({count} - n) * 60)"
    text = (
        "'Hello, this is message number ' || n || '. ' || CASE WHEN n % 10 < 3 THEN 'A common word stands here. ' ELSE '' END"
        " || CASE WHEN n % 5000 = 17 THEN 'rare17 ' ELSE '' END"
        " || repeat('offer order delivery lamp invoice meeting project ' || n % 977 || ' ', 12)"
    )
    return [
        _accounts(),
        "INSERT INTO accounts_emailaccountshare (email_account_id, user_id, level, created_at)"
        " SELECT e.id, u.id, 'see', now() FROM accounts_emailaccount e, accounts_user u"
        " WHERE u.username = 'all' OR (u.username = 'one' AND e.id = (SELECT min(id) FROM accounts_emailaccount))",
        "INSERT INTO contacts_contact (first_name, last_name, job_title, notes, created_at, updated_at)"
        " SELECT 'Ida', 'Lindqvist ' || n, '', '', now(), now() FROM generate_series(1, 500) AS n",
        "INSERT INTO contacts_contactaddress (contact_id, address, position)"
        " SELECT id, 'ida' || id || '@customer.example', 0 FROM contacts_contact",
        _folders(),
        _insert("mail_thread", _thread_values(count), f"generate_series(1, {_threads(count)}) AS t"),
        _insert("mail_message", _message_values(thread, account, at), series),
        *_references(thread, account, series),
        'INSERT INTO mail_messagecontent (message_id, text, html, header_block, in_reply_to, "references", recipients,'
        " list_id, list_unsubscribe, authentication_results, problems)"
        f" SELECT n, {text}, '', '', '', '[]', '{{}}', '', '', '[]', '[]' FROM {series}",
        "INSERT INTO linking_messagelink (message_id, contact_id, reason, evidence, is_rejected, created_at)"
        " SELECT n, (SELECT min(id) FROM contacts_contact) + n % 500, 'contact_address', '{}', false, now()"
        f" FROM {series} WHERE n % 3 = 0",
        "INSERT INTO mail_copy (email_account_id, folder_id, epoch, remote_key, uid, state, reason, message_id, raw,"
        " received_at, size, flags, object_id, attempts, claimed_by, is_out_of_scope)"
        f" SELECT {account}, {account} - (SELECT min(id) FROM accounts_emailaccount) + (SELECT min(id) FROM mail_folder),"
        f" 1, n, n, 'stored', '', n, '', {at}, 2000, '', '', 0, '', false FROM {series}",
        "SELECT setval(pg_get_serial_sequence('mail_message', 'id'), (SELECT max(id) FROM mail_message)),"
        " setval(pg_get_serial_sequence('mail_thread', 'id'), (SELECT max(id) FROM mail_thread))",
    ]


def _references(thread: str, account: str, series: str) -> list[str]:
    """Message-IDs that belong to threads, and who wrote the messages."""
    return [
        "INSERT INTO mail_threadreference (email_account_id, id_hash, thread_id)"
        f" SELECT {account}, {ID_HASH}, {thread} FROM {series}",
        "INSERT INTO mail_correspondent (address, domain)"
        " SELECT 'ida' || n || '@customer.example', 'customer.example' FROM generate_series(0, 499) AS n",
        "INSERT INTO mail_messageaddress (message_id, correspondent_id, role)"
        f" SELECT n, (SELECT min(id) FROM mail_correspondent) + n % 500, 'f' FROM {series}",
    ]


def _accounts() -> str:
    return (
        "INSERT INTO accounts_emailaccount (owner_id, address, address_key, display_name, signature_html, state, period,"
        " auto_download, can_receive, can_send, is_default_sender, failures, last_error_kind, last_error_said, created_at,"
        " answered_at) SELECT (SELECT id FROM accounts_user WHERE username = 'nobody'), 'box' || n || '@mail.example',"
        " 'box' || n || '@mail.example', '', '', 'active', 'everything', true, true, false, false, 0, '', '', now(), now()"
        f" FROM generate_series(1, {ACCOUNTS}) AS n"
    )


def _folders() -> str:
    return (
        "INSERT INTO mail_folder (email_account_id, remote_id, path, role, is_selectable, is_virtual, is_followed, epoch,"
        " last_error) SELECT id, 'INBOX', '[\"INBOX\"]', 'inbox', true, false, true, 1, '' FROM accounts_emailaccount"
        " ORDER BY id"
    )


def _threads(count: int) -> int:
    """How many threads that many messages are: one alone, then THREAD together, and so on."""
    whole, rest = divmod(count, THREAD + 1)
    return whole * 2 + min(rest, 2)


def _thread_values(count: int) -> dict[str, str]:
    """Odd threads have one message, even ones THREAD."""
    last = f"least({count}, (t - 1) / 2 * {THREAD + 1} + CASE WHEN t % 2 = 1 THEN 1 ELSE {THREAD + 1} END)"
    return {
        "id": "t",
        "email_account_id": f"(t - 1) / 2 % {ACCOUNTS} + (SELECT min(id) FROM accounts_emailaccount)",
        "subject": "'Subject ' || t",
        "snippet": "'Hello, this is the beginning of a message'",
        "participants": '\'[["Ida Lindqvist", "ida@customer.example", false]]\'',
        "last_received_at": f"now() - make_interval(secs => ({count} - {last}) * 60)",
        "message_count": f"CASE WHEN t % 2 = 1 THEN 1 ELSE {THREAD} END",
        "unread_count": "CASE WHEN t % 7 = 0 THEN 1 ELSE 0 END",
        "open_count": "1",
        "sent_count": "0",
        "draft_count": "0",
        "has_attachments": "false",
        "is_flagged": "false",
    }


def _message_values(thread: str, account: str, at: str) -> dict[str, str]:
    return {
        "id": "n",
        "email_account_id": account,
        "thread_id": thread,
        "message_id": "'m' || n || '@customer.example'",
        "message_id_hash": ID_HASH,
        "subject": f"'Subject ' || {thread}",
        "snippet": "'Hello, this is the beginning of a message'",
        "from_name": "'Ida Lindqvist'",
        "from_address": "'ida' || n % 500 || '@customer.example'",
        "sent_at": at,
        "received_at": at,
        "size": "2000",
        "is_outgoing": "false",
        "is_read": "n % 7 <> 0",
        "is_flagged": "false",
        "is_answered": "false",
        "is_draft": "false",
        "is_automatic": "false",
        "has_attachments": "false",
        "is_complete": "true",
        "verdict": "'unknown'",
        "digest": "''",
        "object_id": "''",
        "is_indexed": "false",
        "created_at": at,
    }
