"""What every mailbox driver keeps, whoever writes it. A test class inherits `MailboxContract` and gives a `world`."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes

import pytest

from drivers import errors
from drivers.types import FolderRole
from tests.drivers.contract_mails import ATTACHMENT, mail, mail_with_attachment, same
from tests.drivers.worlds import World

WHOLE = 1_000_000
FAR = 10_000


class MailboxContract:
    """Inherit and define the fixture `world`."""

    def test_a_check_tells_its_steps_and_counts_folders(self, world: World) -> None:
        report = world.driver().check()
        assert [step.kind for step in report.steps] == ["connect", "secure", "sign_in", "folders"]
        assert all(step.ok for step in report.steps)
        assert report.folder_count and report.folder_count >= 3

    def test_a_wrong_password_is_an_authentication_failure_without_the_password(self, world: World) -> None:
        with pytest.raises(errors.AuthenticationFailed) as caught:
            world.driver("wr0ng-Secret-9").open()
        assert "wr0ng" not in repr(caught.value) + str(caught.value) + caught.value.server_said
        assert type(caught.value) is errors.AuthenticationFailed

    def test_the_epoch_of_a_folder_is_that_of_its_changes(self, world: World) -> None:
        with world.driver() as driver:
            assert driver.epoch(world.inbox) == driver.fetch_changes(world.inbox, None, since=None, limit=FAR).epoch
            with pytest.raises(errors.FolderGone):
                driver.epoch("No such folder")

    def test_a_glance_calls_a_folder_quiet_only_while_nothing_happened(self, world: World) -> None:
        """A driver that cannot tell says of none that it is quiet, and of no folder list that it is one."""
        key = world.add(world.inbox, mail(1))
        with world.driver() as driver:
            cursor = driver.fetch_changes(world.inbox, None, since=None, limit=FAR).cursor
            first = driver.glance({world.inbox: cursor}, since=None)
            can_tell = world.inbox in first.quiet
            if first.folders is not None:
                assert {one.id for one in first.folders} == {one.id for one in driver.list_folders()}
            assert (world.inbox in driver.glance({world.inbox: cursor}, since=date(2020, 1, 1)).quiet) is False
            for happens in (
                lambda: world.add(world.inbox, mail(2)),
                lambda: world.flag(world.inbox, key, "\\Flagged"),
                lambda: world.remove(world.inbox, key),
            ):
                happens()
                assert driver.glance({world.inbox: cursor}, since=None).quiet == frozenset()
                cursor = driver.fetch_changes(world.inbox, cursor, since=None, limit=FAR).cursor
                assert (world.inbox in driver.glance({world.inbox: cursor}, since=None).quiet) is can_tell
            assert driver.glance({"No such folder": cursor}, since=None).quiet == frozenset()
        world.renumber(world.inbox)
        with world.driver() as driver:
            assert driver.glance({world.inbox: cursor}, since=None).quiet == frozenset()

    def test_headers_tell_messages_apart_without_their_bodies(self, world: World) -> None:
        keys = [world.add(world.inbox, mail(number, "body " * 50)) for number in (1, 2)]
        with world.driver() as driver:
            found = list(driver.fetch_headers(world.inbox, [keys[1], "999999", keys[0]]))
        assert [one.copy.key for one in found] == [keys[1], keys[0]]
        parsed = message_from_bytes(found[0].raw)
        assert (parsed["Message-ID"], parsed["Subject"]) == ("<m2@example.org>", "Number 2")
        assert b"body body" not in found[0].raw and not found[0].is_complete
        assert (found[0].copy.size or 0) >= len(mail(2, "body " * 50))
        assert found[0].copy.size == len(mail(2, "body " * 50)) or not world.counts_bytes

    def test_a_search_by_sender_and_subject_brings_the_newest_headers(self, world: World) -> None:
        keys = [world.add(world.inbox, mail(number)) for number in (1, 2, 12)]
        with world.driver() as driver:
            assert [m.copy.key for m in driver.search(world.inbox, subject="number 1")] == [keys[2], keys[0]]
            assert [m.copy.key for m in driver.search(world.inbox, sender="ida@example.org", subject="12")] == [keys[2]]
            assert len(driver.search(world.inbox, sender="ida", limit=2)) == 2
            assert driver.search(world.inbox, sender="nobody@example.org") == []
            assert driver.search(world.inbox) == []
            assert driver.search(world.inbox, subject="x\r\nA1 LOGOUT") == []
            assert driver.list_folders(), "the line was not broken"

    def test_every_folder_has_its_role_once(self, world: World) -> None:
        world.add(world.inbox, mail(1))
        with world.driver() as driver:
            folders = driver.list_folders()
        roles = {folder.role: folder.id for folder in folders if folder.role is not FolderRole.NONE}
        assert roles[FolderRole.INBOX] == world.inbox
        assert roles[FolderRole.DRAFTS] == world.drafts
        assert roles[FolderRole.TRASH] == world.trash
        assert FolderRole.SENT in roles and FolderRole.JUNK in roles
        assert len(roles) == sum(folder.role is not FolderRole.NONE for folder in folders)
        assert next(folder.total for folder in folders if folder.id == world.inbox) == 1

    def test_the_first_look_gives_everything_newest_first_in_pages(self, world: World) -> None:
        keys = [world.add(world.inbox, mail(number)) for number in range(7)]
        seen: list[str] = []
        with world.driver() as driver:
            changes = driver.fetch_changes(world.inbox, None, since=None, limit=3)
            assert changes.total == 7 and changes.has_more
            while True:
                assert len(changes.added) <= 3
                seen += [copy.key for copy in changes.added]
                assert all(copy.received_at and copy.size for copy in changes.added)
                if not changes.has_more:
                    break
                changes = driver.fetch_changes(world.inbox, changes.cursor, since=None, limit=3)
        assert seen == keys[::-1]

    def test_a_poll_that_finds_nothing_says_so(self, world: World) -> None:
        world.add(world.inbox, mail(1))
        with world.driver() as driver:
            changes = self.caught_up(driver, world.inbox)
            again = driver.fetch_changes(world.inbox, changes.cursor, since=None, limit=FAR)
        assert (again.added, again.flags, again.removed, again.present) == ((), (), (), None)
        assert again.cursor == changes.cursor and not again.has_more

    def test_new_mail_is_found_over_the_same_and_over_a_new_connection(self, world: World) -> None:
        world.add(world.inbox, mail(1))
        with world.driver() as driver:
            changes = self.caught_up(driver, world.inbox)
            second = world.add(world.inbox, mail(2))
            changes = driver.fetch_changes(world.inbox, changes.cursor, since=None, limit=FAR)
            assert [copy.key for copy in changes.added] == [second]
        third = world.add(world.inbox, mail(3))
        with world.driver() as driver:
            changes = driver.fetch_changes(world.inbox, changes.cursor, since=None, limit=FAR)
        assert [copy.key for copy in changes.added] == [third]

    def test_mail_that_arrives_while_old_pages_remain_comes_first_and_nothing_is_lost(self, world: World) -> None:
        keys = [world.add(world.inbox, mail(number)) for number in range(6)]
        with world.driver() as driver:
            changes = driver.fetch_changes(world.inbox, None, since=None, limit=2)
            seen = [copy.key for copy in changes.added]
            late = [world.add(world.inbox, mail(number)) for number in range(6, 9)]
            changes = driver.fetch_changes(world.inbox, changes.cursor, since=None, limit=2)
            assert [copy.key for copy in changes.added] == late[:0:-1]
            while True:
                seen += [copy.key for copy in changes.added]
                if not changes.has_more:
                    break
                changes = driver.fetch_changes(world.inbox, changes.cursor, since=None, limit=2)
        assert len(seen) == len(keys + late) and set(seen) == {*keys, *late}

    def test_a_changed_flag_is_told(self, world: World) -> None:
        keys = [world.add(world.inbox, mail(number)) for number in range(3)]
        with world.driver() as driver:
            changes = self.caught_up(driver, world.inbox)
            world.flag(world.inbox, keys[1], "\\Flagged")
            changes = driver.fetch_changes(world.inbox, changes.cursor, since=None, limit=FAR)
        told = {copy.key: copy.flags for copy in changes.flags}
        assert "\\flagged" in told[keys[1]]

    def test_a_message_deleted_elsewhere_is_removed_or_absent(self, world: World) -> None:
        keys = [world.add(world.inbox, mail(number)) for number in range(3)]
        with world.driver() as driver:
            changes = self.caught_up(driver, world.inbox)
            world.remove(world.inbox, keys[1])
            new = world.add(world.inbox, mail(9))
            changes = driver.fetch_changes(world.inbox, changes.cursor, since=None, limit=FAR)
            assert [copy.key for copy in driver.list_ids(world.inbox, since=None)] == [keys[0], keys[2], new]
        assert [copy.key for copy in changes.added] == [new]
        told = keys[1] in changes.removed
        absent = changes.present is not None and keys[1] not in changes.present and keys[0] in changes.present
        assert told or absent
        assert changes.total == 3

    def test_a_window_by_date_counts_and_gives_only_what_is_in_it(self, world: World) -> None:
        now = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
        old = world.add(world.inbox, mail(1), received_at=now - timedelta(days=40))
        new = world.add(world.inbox, mail(2), received_at=now - timedelta(days=2))
        since = (now - timedelta(days=7)).date()
        with world.driver() as driver:
            changes = driver.fetch_changes(world.inbox, None, since=since, limit=FAR)
            assert [copy.key for copy in changes.added] == [new] and changes.total == 1
            assert [copy.key for copy in driver.list_ids(world.inbox, since=since)] == [new]
            late = world.add(world.inbox, mail(3), received_at=now - timedelta(days=60))
            fresh = world.add(world.inbox, mail(4), received_at=now)
            changes = driver.fetch_changes(
                world.inbox, self.caught_up(driver, world.inbox, since).cursor, since=since, limit=FAR
            )
            narrow = self.caught_up(driver, world.inbox, since)
            assert {copy.key for copy in narrow.added} == {new, fresh}
            wider = driver.fetch_changes(world.inbox, narrow.cursor, since=None, limit=FAR)
            assert {old, late} <= {copy.key for copy in wider.added}

    def test_a_folder_numbered_anew_makes_the_cursor_invalid(self, world: World) -> None:
        world.add(world.inbox, mail(1))
        with world.driver() as driver:
            cursor = self.caught_up(driver, world.inbox).cursor
        world.renumber(world.inbox)
        with world.driver() as driver, pytest.raises(errors.CursorInvalid):
            driver.fetch_changes(world.inbox, cursor, since=None, limit=FAR)

    def test_a_missing_folder_is_gone(self, world: World) -> None:
        with world.driver() as driver:
            with pytest.raises(errors.FolderGone):
                driver.fetch_changes("Nowhere", None, since=None, limit=FAR)
            with pytest.raises(errors.FolderGone):
                driver.append("Nowhere", mail(1))
            assert driver.list_folders(), "the connection still works"

    def test_messages_come_whole_in_the_order_asked_without_the_gone(self, world: World) -> None:
        raws = [mail(number, text="x" * number * 50) for number in range(5)]
        keys = [world.add(world.inbox, raw) for raw in raws]
        world.remove(world.inbox, keys[2])
        order = [keys[4], keys[0], keys[2], keys[3], "4000000"]
        with world.driver() as driver:
            found = list(driver.fetch_messages(world.inbox, order, whole_below=WHOLE))
        assert [message.copy.key for message in found] == [keys[4], keys[0], keys[3]]
        assert [same(message.raw, world) for message in found] == [same(raws[n], world) for n in (4, 0, 3)]
        assert all(message.is_complete for message in found)

    def test_what_was_told_before_need_not_be_asked_again(self, world: World) -> None:
        """Big and small, and one that went meanwhile: the same content as without."""
        keys = [world.add(world.inbox, raw) for raw in (mail(1), mail_with_attachment(), mail(2), mail(3))]
        with world.driver() as driver:
            added = driver.fetch_changes(world.inbox, None, since=None, limit=FAR).added
            known = {copy.key: copy for copy in added if copy.key != keys[3]}
            world.remove(world.inbox, keys[2])
            order = [keys[3], keys[2], keys[1], keys[0]]
            asked = list(driver.fetch_messages(world.inbox, order, whole_below=100_000))
            found = list(driver.fetch_messages(world.inbox, order, whole_below=100_000, known=known))
        assert [one.copy.key for one in found] == [keys[3], keys[1], keys[0]]
        assert [(one.is_complete, one.copy.size, one.copy.flags) for one in found] == [
            (one.is_complete, one.copy.size, one.copy.flags) for one in asked
        ]
        assert [same(found[n].raw, world) for n in (0, 2)] == [same(asked[n].raw, world) for n in (0, 2)]

    def test_reading_changes_no_flag(self, world: World) -> None:
        key = world.add(world.inbox, mail_with_attachment())
        with world.driver() as driver:
            list(driver.fetch_messages(world.inbox, [key], whole_below=WHOLE * 9))
            list(driver.fetch_messages(world.inbox, [key], whole_below=100))
            list(driver.fetch_part(world.inbox, key, "2"))
            list(driver.fetch_raw(world.inbox, key))
            changes = driver.fetch_changes(world.inbox, None, since=None, limit=FAR)
        assert changes.added[0].flags == frozenset()

    def test_a_big_message_comes_without_its_attachment_which_can_be_fetched(self, world: World) -> None:
        keys = [
            world.add(world.inbox, mail(1)),
            world.add(world.inbox, mail_with_attachment()),
            world.add(world.inbox, mail(2)),
        ]
        with world.driver() as driver:
            found = list(driver.fetch_messages(world.inbox, keys, whole_below=100_000))
            assert [message.copy.key for message in found] == keys
            big = found[1]
            (part,) = big.left_out
            content = b"".join(driver.fetch_part(world.inbox, keys[1], part.id))
        assert not big.is_complete and len(big.raw) < 5_000
        assert (part.content_type, part.file_name) == ("application/pdf", "plan.pdf")
        assert part.disposition == "attachment" and part.size > len(ATTACHMENT)
        assert content == ATTACHMENT
        parsed = message_from_bytes(big.raw)
        assert parsed["Subject"] == "Plans" and parsed["Message-ID"] == "<big@example.org>"
        texts = [one.get_payload(decode=True) for one in parsed.walk() if one.get_content_maintype() == "text"]
        assert b"<p>Hi</p>" in texts[-1]
        leaves = [one.get_content_type() for one in parsed.walk() if not one.is_multipart()]
        if world.has_both_texts:
            assert part.id == "2" and "Die Pläne".encode() in texts[0]
            assert leaves == ["text/plain", "text/html", "application/pdf"]

    def test_the_source_comes_byte_for_byte(self, world: World) -> None:
        key = world.add(world.inbox, mail_with_attachment())
        with world.driver() as driver:
            raw = b"".join(driver.fetch_raw(world.inbox, key))
        assert same(raw, world) == same(mail_with_attachment(), world)

    def test_what_is_gone_is_said(self, world: World) -> None:
        key = world.add(world.inbox, mail(1))
        with world.driver() as driver:
            with pytest.raises(errors.MessageGone):
                list(driver.fetch_raw(world.inbox, "99999"))
            with pytest.raises(errors.MessageGone):
                list(driver.fetch_part(world.inbox, "99999", "1"))
            with pytest.raises(errors.MessageGone):
                list(driver.fetch_part(world.inbox, key, "7.3"))
            with pytest.raises(errors.MessageGone):
                list(driver.fetch_part(world.inbox, key, "1]\r\nA1 LOGOUT"))
            assert list(driver.fetch_messages(world.inbox, ["99999"], whole_below=WHOLE)) == []

    def test_a_message_is_found_by_its_exact_message_id(self, world: World) -> None:
        world.add(world.inbox, mail(11))
        key = world.add(world.inbox, mail(1))
        with world.driver() as driver:
            assert [copy.key for copy in driver.find(world.inbox, "<m1@example.org>")] == [key]
            assert driver.find(world.inbox, "m1@example.org") == []
            assert driver.find(world.inbox, "<m1@example.org>\r\nA LOGOUT") == []
            assert driver.find(world.inbox, '<m"\\1@example.org>') == []

    def test_flags_are_set_and_taken_away(self, world: World) -> None:
        keys = [world.add(world.inbox, mail(number)) for number in range(2)]
        with world.driver() as driver:
            driver.set_flags(world.inbox, [*keys, "77777"], add=["\\Seen", "\\Flagged"])
            driver.set_flags(world.inbox, keys[:1], remove=["\\Seen"])
            added = driver.fetch_changes(world.inbox, None, since=None, limit=FAR).added
        flags = {copy.key: copy.flags for copy in added}
        assert flags == {keys[0]: {"\\flagged"}, keys[1]: {"\\seen", "\\flagged"}}

    def test_a_flag_with_a_line_break_is_refused(self, world: World) -> None:
        key = world.add(world.inbox, mail(1))
        with world.driver() as driver:
            with suppress(errors.ProtocolError):
                driver.set_flags(world.inbox, [key], add=["\\Seen)\r\nA LOGOUT"])
            assert driver.list_folders()

    def test_a_moved_message_is_in_the_other_folder_only(self, world: World) -> None:
        stays, goes = world.add(world.inbox, mail(1)), world.add(world.inbox, mail(2))
        with world.driver() as driver:
            moved = driver.move(world.inbox, [goes], world.other)
            assert [copy.key for copy in driver.list_ids(world.inbox, since=None)] == [stays]
            (there,) = driver.find(world.other, "<m2@example.org>")
        assert moved in ({}, {goes: there.key})
        assert moved or not driver.capabilities.append_uid

    def test_a_move_to_nowhere_keeps_the_message(self, world: World) -> None:
        key = world.add(world.inbox, mail(1))
        with world.driver() as driver:
            with pytest.raises(errors.FolderGone):
                driver.move(world.inbox, [key], "Nowhere")
            assert [copy.key for copy in driver.list_ids(world.inbox, since=None)] == [key]

    def test_only_the_named_copy_is_deleted(self, world: World) -> None:
        stays, goes = world.add(world.inbox, mail(1)), world.add(world.inbox, mail(2))
        with world.driver() as driver:
            driver.delete(world.inbox, [goes])
            assert [copy.key for copy in driver.list_ids(world.inbox, since=None)] == [stays]
            assert driver.find(world.trash, "<m2@example.org>") == []

    def test_a_draft_is_replaced_by_its_newer_version(self, world: World) -> None:
        with world.driver() as driver:
            first = driver.append(world.drafts, mail(1), flags=["\\Draft"])
            first = first or driver.find(world.drafts, "<m1@example.org>")[0].key
            second = driver.replace_draft(world.drafts, first, mail(2, "line one\nline two"))
            (left,) = driver.list_ids(world.drafts, since=None)
            assert second in (None, left.key)
            (message,) = driver.fetch_messages(world.drafts, [left.key], whole_below=WHOLE)
        assert same(message.raw, world) == same(mail(2, "line one\r\nline two"), world)
        assert "\\draft" in message.copy.flags

    def test_a_folder_name_with_a_line_break_is_refused_or_gone(self, world: World) -> None:
        with world.driver() as driver:
            with pytest.raises((errors.FolderGone, errors.ProtocolError)):
                driver.fetch_changes("x\r\nA1 DELETE INBOX", None, since=None, limit=1)
            assert driver.list_folders()

    def test_iterators_may_be_left_early(self, world: World) -> None:
        keys = [world.add(world.inbox, mail(number)) for number in range(4)]
        with world.driver() as driver:
            messages = driver.fetch_messages(world.inbox, keys, whole_below=WHOLE)
            assert same(next(iter(messages)).raw, world) == same(mail(0), world)
            assert len(driver.find(world.inbox, "<m2@example.org>")) == 1
            assert len(list(driver.list_ids(world.inbox, since=None))) == 4

    def test_a_closed_driver_says_so_and_closing_twice_is_fine(self, world: World) -> None:
        driver = world.driver()
        driver.open()
        driver.close()
        driver.close()
        with pytest.raises(errors.ServerUnreachable):
            driver.fetch_changes(world.inbox, None, since=None, limit=1)

    def caught_up(self, driver, inbox: str, since: date | None = None):  # type: ignore[no-untyped-def]
        """Changes after everything has been told once (a server without CONDSTORE needs two looks)."""
        changes = first = driver.fetch_changes(inbox, None, since=since, limit=FAR)
        assert not changes.has_more
        changes = driver.fetch_changes(inbox, first.cursor, since=since, limit=FAR)
        assert changes.added == ()
        return type(changes)(changes.epoch, first.added, (), (), changes.cursor)
