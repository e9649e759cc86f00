"""Big messages among small ones: their outlines come together, their texts in the order asked for, whatever fails."""

from drivers.imap.driver import ImapDriver
from tests.drivers.contract import mail, mail_with_attachment
from tests.servers.scripted_imap import ScriptedImap

BIG = 10_000


def fetch(server, keys):
    with ImapDriver(server.address(timeout=5), server.login()) as driver:
        return list(driver.fetch_messages("INBOX", keys, whole_below=BIG))


def test_big_and_small_messages_come_in_the_order_asked_for(poor_server):
    numbers = range(1, 41)
    for number in numbers:
        poor_server.add_message("INBOX", mail_with_attachment() if number % 3 == 0 else mail(number))
    keys = [str(number) for number in reversed(numbers)]
    found = fetch(poor_server, keys)
    assert [one.copy.key for one in found] == keys
    for one in found:
        number = int(one.copy.key)
        assert one.is_complete == bool(number % 3)
        assert (b"Die Pl" in one.raw) if number % 3 == 0 else one.raw == mail(number)


def test_outlines_of_many_messages_are_asked_for_together(poor_server):
    for _ in range(30):
        poor_server.add_message("INBOX", mail_with_attachment())
    poor_server.log.clear()
    assert len(fetch(poor_server, [str(number) for number in range(1, 31)])) == 30
    assert poor_server.log.count("UID FETCH") == 1 + 2 + 1  # sizes, outlines by twenty, texts


def test_texts_that_lie_at_different_places_are_not_mixed_up(poor_server):
    plain = b"Subject: alone\r\nContent-Type: text/plain\r\n\r\nAlone.\r\n" + b"x" * 70 * BIG
    raws = [mail_with_attachment(), plain, mail(3), plain.replace(b"Alone", b"Other"), mail_with_attachment()]
    for raw in raws:
        poor_server.add_message("INBOX", raw)
    poor_server.log.clear()
    found = fetch(poor_server, ["1", "2", "3", "4", "5"])
    assert poor_server.log.count("UID FETCH") == 1 + 1 + 3  # sizes, outlines, what is whole, texts at two places
    assert [b"Die Pl" in one.raw for one in found] == [True, False, False, False, True]
    assert [one.raw for one in found[1:4]] == raws[1:4]


def test_where_outlines_are_refused_each_message_is_asked_for_alone():
    sizes = b"".join(
        b'* %d FETCH (UID %d RFC822.SIZE 20000 FLAGS () INTERNALDATE "05-Mar-2026 09:08:07 +0000")\r\n' % (uid, uid)
        for uid in (1, 2)
    )
    structure = b'BODYSTRUCTURE ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 4 1)'

    def answer(tag, line):
        uids = line.split()[3]
        if b"BODY" not in line:
            return sizes + tag + b" OK done\r\n"
        if b"HEADER" in line and b"BODYSTRUCTURE" in line:
            return tag + b" NO too much at once\r\n"
        if b"HEADER" in line:
            found = b"BODY[HEADER]<0> {14}\r\nSubject: a\r\n\r\n"
        else:
            found = structure if b"BODYSTRUCTURE" in line else b"BODY[1]<0> {4}\r\ngood"
        return b"* 1 FETCH (UID " + uids + b" " + found + b")\r\n" + tag + b" OK done\r\n"

    with ScriptedImap({"UID FETCH": answer}) as server:
        found = fetch(server, ["1", "2"])
    assert [one.copy.key for one in found] == ["1", "2"]
    assert all(one.raw.endswith(b"good") and one.is_complete for one in found)


def test_a_big_message_that_goes_meanwhile_is_left_out():
    sizes = b"".join(
        b'* %d FETCH (UID %d RFC822.SIZE %d FLAGS () INTERNALDATE "05-Mar-2026 09:08:07 +0000")\r\n' % (uid, uid, size)
        for uid, size in ((1, 20_000), (2, 4))
    )

    def answer(tag, line):
        if b"BODY" not in line:
            return sizes + tag + b" OK done\r\n"
        small = b"* 2 FETCH (UID 2 BODY[] {4}\r\ngood)\r\n" if b" 2 " in line else b""
        return small + tag + b" OK done\r\n"

    with ScriptedImap({"UID FETCH": answer}) as server:
        assert [(one.copy.key, one.raw) for one in fetch(server, ["1", "2"])] == [("2", b"good")]


def test_what_would_make_a_large_outline_is_fetched_alone_and_whole(poor_server):
    long_header = b"X-Long: " + b"h" * 900 + b"\r\n"
    texts = b"".join(b"--b\r\nContent-Type: text/plain\r\n\r\nnumber %d\r\n" % number for number in range(60))
    raws = [
        long_header * 100 + mail(1),
        b'Subject: parts\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n' + texts + b"--b--\r\n" + b" " * 10_000,
        mail_with_attachment(),
    ]
    for raw in raws:
        poor_server.add_message("INBOX", raw)
    poor_server.log.clear()
    found = fetch(poor_server, ["1", "2", "3"])
    assert found[0].raw.count(b"X-Long: ") == 100 and b"hello 1" in found[0].raw
    assert b"number 0" in found[1].raw and found[2].raw.count(b"Die Pl") == 1
    assert poor_server.log.count("UID FETCH") == 1 + 1 + 2 * 3 + 1  # sizes, outlines, two of them alone in three, texts


def test_only_so_many_big_messages_are_outlined_ahead(poor_server, monkeypatch):
    monkeypatch.setattr("drivers.imap.fetch.OUTLINED", 4)
    for number in range(1, 31):
        poor_server.add_message("INBOX", mail(number) if number % 3 == 0 else mail_with_attachment())
    poor_server.log.clear()
    keys = [str(number) for number in range(30, 0, -1)]
    assert [one.copy.key for one in fetch(poor_server, keys)] == keys
    outlined = 5  # of twenty big ones, four at a time
    assert poor_server.log.count("UID FETCH") == 1 + 3 * outlined  # sizes; outlines, texts, whole


def test_no_more_places_of_texts_are_asked_for_at_once_than_commands_are_allowed(poor_server, monkeypatch):
    monkeypatch.setattr("drivers.imap.fetch.BATCH_COMMANDS", 1)
    plain = b"Subject: %d\r\n\r\n" + b"x" * 2 * BIG
    raws = [mail_with_attachment() if number % 2 else plain % number for number in range(6)]
    for raw in raws:
        poor_server.add_message("INBOX", raw)
    poor_server.log.clear()
    found = fetch(poor_server, [str(number) for number in range(1, 7)])
    assert poor_server.log.count("UID FETCH") == 1 + 1 + 6  # sizes, outlines, one place after the other
    assert [one.raw for one in found[::2]] == raws[::2] and all(b"Die Pl" in one.raw for one in found[1::2])


def test_a_tree_that_is_too_deep_is_fetched_alone_and_whole_and_holds_up_no_other():
    sizes = b"".join(
        b'* %d FETCH (UID %d RFC822.SIZE 20000 FLAGS () INTERNALDATE "05-Mar-2026 09:08:07 +0000")\r\n' % (uid, uid)
        for uid in (1, 2)
    )
    leaf = b'("TEXT" "PLAIN" NIL NIL NIL "7BIT" 4 1)'
    deep = b"(" * 2000 + leaf + b' "MIXED")' * 2000
    header = b"{14}\r\nSubject: a\r\n\r\n"

    def described(uid, *items):
        return b"* %d FETCH (UID %d %s)\r\n" % (uid, uid, b" ".join(items))

    def answer(tag, line):
        uids, done = line.split()[3], tag + b" OK done\r\n"
        if b"BODY" not in line:
            return sizes + done
        if b"HEADER" in line and b"BODYSTRUCTURE" in line:
            both = ((1, deep), (2, leaf))
            return (
                b"".join(described(uid, b"BODY[HEADER]<0> " + header, b"BODYSTRUCTURE " + one) for uid, one in both)
                + done
            )
        if b"BODYSTRUCTURE" in line:
            return described(int(uids), b"BODYSTRUCTURE " + (deep if uids == b"1" else leaf)) + done
        if b"HEADER" in line:
            return described(int(uids), b"BODY[HEADER]<0> " + header) + done
        return (
            described(int(uids), b"BODY[TEXT]<0> {4}\r\nall." if b"TEXT" in line else b"BODY[1]<0> {4}\r\ngood") + done
        )

    with ScriptedImap({"UID FETCH": answer}) as server:
        found = fetch(server, ["1", "2"])
    assert [one.raw for one in found] == [b"Subject: a\r\n\r\nall.", b"Subject: a\r\n\r\ngood"]
