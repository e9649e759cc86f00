"""The rules of matching, over any facts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from linking.matching import (
    BY_HAND,
    MAX_LINKS,
    THREAD,
    Known,
    MailFacts,
    StoredLink,
    Target,
    company_of_domain,
    match_addresses,
    match_thread,
    suffixes,
)

DOMAINS = ["a.example", "x.a.example", "b.example", "own.example", "free.example"]
ADDRESSES = [f"{name}@{domain}" for name in ("p", "q") for domain in DOMAINS]

known_facts = st.builds(
    Known,
    contacts=st.dictionaries(st.sampled_from(ADDRESSES), st.integers(1, 4)),
    employers=st.dictionaries(st.integers(1, 4), st.integers(1, 3)),
    domains=st.dictionaries(st.sampled_from(DOMAINS[:4]), st.integers(1, 3)),
    own=st.frozensets(st.sampled_from(ADDRESSES), max_size=4),
)
some_addresses = st.lists(st.tuples(st.sampled_from("ftcbr"), st.sampled_from(ADDRESSES)), max_size=6)
some_mails = st.lists(st.tuples(some_addresses, st.booleans(), st.booleans()), min_size=1, max_size=5).map(
    lambda rows: [MailFacts(number, *row) for number, row in enumerate(rows)]
)
some_links = st.lists(
    st.builds(
        StoredLink,
        st.integers(0, 4),
        st.sampled_from([Target(contact=9), Target(company=8), Target(company=1)]),
        st.sampled_from([BY_HAND, THREAD, "contact_address"]),
        st.booleans(),
    ),
    max_size=4,
)


@given(some_addresses, known_facts)
def test_every_proposal_rests_on_an_address_of_the_mail_that_is_not_our_own(
    pairs: list[tuple[str, str]], known: Known
) -> None:
    mail = MailFacts(1, pairs)
    proposals = match_addresses(mail, known)
    assert len({proposed.target for proposed in proposals}) == len(proposals) <= MAX_LINKS
    for proposed in proposals:
        address = proposed.evidence["address"]
        assert address not in known.own
        assert address in [used for role, used in pairs if role != "r"]
        if proposed.target.contact is not None:
            assert known.contacts[address] == proposed.target.contact
        else:
            employer = known.employers.get(known.contacts.get(address, 0))
            by_domain = company_of_domain(address, known)
            assert proposed.target.company in (employer, by_domain and by_domain[0])


@given(some_mails, some_links, known_facts)
def test_what_a_thread_hands_on_stood_before_and_was_not_refused(
    mails: list[MailFacts], links: list[StoredLink], known: Known
) -> None:
    proposals = match_thread(mails, links, known)
    refused = {link.target for link in links if link.is_rejected} - {
        link.target for link in links if not link.is_rejected and link.reason == BY_HAND
    }
    own = {(one.message_id, one.target) for one in proposals if one.reason != THREAD}
    stood = own | {(link.message_id, link.target) for link in links if not link.is_rejected and link.reason != THREAD}
    for proposed in proposals:
        assert proposed.target not in refused
        if proposed.reason == THREAD:
            source = proposed.evidence["message"]
            assert source < proposed.message_id
            assert (source, proposed.target) in stood
            assert not mails[proposed.message_id].is_unverified


@given(some_mails, some_links, known_facts)
def test_matching_again_with_its_own_result_stored_proposes_nothing_new(
    mails: list[MailFacts], links: list[StoredLink], known: Known
) -> None:
    first = match_thread(mails, links, known)
    stored = links + [StoredLink(one.message_id, one.target, one.reason) for one in first]
    again = {(one.message_id, one.target) for one in match_thread(mails, stored, known)}
    assert again <= {(link.message_id, link.target) for link in stored}


def test_a_mail_to_thousands_has_a_bounded_number_of_links() -> None:
    addresses = [("t", f"p{number}@x{number}.example") for number in range(3000)]
    known = Known(contacts={address: number for number, (_, address) in enumerate(addresses)})
    assert len(match_addresses(MailFacts(1, addresses), known)) == MAX_LINKS


def test_suffixes_go_from_the_longest_to_the_second_level() -> None:
    assert list(suffixes("a.b.c.example")) == ["a.b.c.example", "b.c.example", "c.example"]
    assert list(suffixes("example")) == []
    assert list(suffixes("")) == []


@given(st.text(max_size=300))
def test_suffixes_of_anything_are_few_and_end_with_it(domain: str) -> None:
    found = list(suffixes(domain))
    assert len(found) < 12
    assert all(domain.endswith(suffix) for suffix in found)
