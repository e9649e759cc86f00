"""Many rows at once: what is there already is left alone, and the transaction goes on."""

import pytest
from django.db import IntegrityError, transaction

from base.bulk import insert_rows, reserve_ids
from mail.models import Correspondent

pytestmark = pytest.mark.django_db
COLUMNS = ("address", "domain")


def addresses() -> list[str]:
    return sorted(Correspondent.objects.values_list("address", flat=True))


def test_rows_that_are_there_are_left_out_and_the_others_are_inserted() -> None:
    insert_rows(Correspondent, COLUMNS, [("b", "kept")])
    with transaction.atomic():
        insert_rows(Correspondent, COLUMNS, [("a", "x"), ("b", "y"), ("c", "z")], ignore_conflicts=True)
        insert_rows(Correspondent, COLUMNS, [("d", "x"), ("e\t\\n\n", "y")], ignore_conflicts=True)
    assert addresses() == ["a", "b", "c", "d", "e\t\\n\n"]
    assert Correspondent.objects.get(address="b").domain == "kept"


def test_the_same_row_twice_in_one_call_is_one_row() -> None:
    insert_rows(Correspondent, COLUMNS, [("a", "x"), ("a", "x")], ignore_conflicts=True)
    assert addresses() == ["a"]


def test_a_conflict_that_was_not_allowed_is_an_error() -> None:
    insert_rows(Correspondent, COLUMNS, [("a", "x")])
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_rows(Correspondent, COLUMNS, [("a", "x")])


def test_an_error_that_is_no_conflict_stays_one() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_rows(Correspondent, COLUMNS, [("a", None)], ignore_conflicts=True)


def test_reserved_ids_are_nobody_elses() -> None:
    with transaction.atomic():
        first, second = reserve_ids(Correspondent, 3), reserve_ids(Correspondent, 0)
        insert_rows(Correspondent, ("id", *COLUMNS), [(pk, str(pk), "x") for pk in first])
    assert len(set(first)) == 3 and second == [] and first == sorted(first)
    assert Correspondent.objects.create(address="next", domain="x").pk not in first
