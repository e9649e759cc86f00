"""Many values of an `__in` as one parameter: the same rows are found, whatever stands in them."""

import pytest

from base.arrays import FEW, one_of
from mail.models import Correspondent

pytestmark = pytest.mark.django_db
STRANGE = ['quote"s', "back\\slash", "{braces}", "comma, and 'more'", "über", "日本", "", "null", "NULL"]


@pytest.mark.parametrize("more", [0, FEW * 2])
def test_texts_are_found_as_they_are(more: int) -> None:
    texts = [*STRANGE, *(f"a{number}@example.org" for number in range(more))]
    Correspondent.objects.bulk_create(Correspondent(address=text, domain="x") for text in [*texts, "other"])
    found = Correspondent.objects.filter(one_of("address", texts)).values_list("address", flat=True)
    assert sorted(found) == sorted(texts)


@pytest.mark.parametrize("count", [0, 1, FEW - 1, FEW, FEW * 5])
def test_numbers_are_found(count: int) -> None:
    rows = Correspondent.objects.bulk_create(Correspondent(address=str(n), domain="x") for n in range(count + 3))
    ids = [row.pk for row in rows[:count]]
    assert sorted(Correspondent.objects.filter(one_of("pk", set(ids))).values_list("pk", flat=True)) == ids
    assert Correspondent.objects.filter(one_of("pk", iter(ids))).update(domain="y") == count


def test_numbers_beyond_any_row_are_no_error() -> None:
    assert not Correspondent.objects.filter(one_of("pk", [-(2**63), 2**63 - 1] * FEW)).exists()
