"""Mail that leaves: drafts, the outbox, delivery, sent copies, bounces.

Invariants: everything is recorded before anything leaves; a send whose outcome is unknown is never repeated by a machine;
the Message-ID is given when the draft begins and never changes; Bcc stands in no header that leaves.

    draft → queued → sending → sent → filed
                ↑        ├→ queued    (nothing was accepted, or some recipients for later: tried again by schedule)
              retry ←────┼→ failed    (refused for good)
                         └→ uncertain (it left, the answer is unknown: looked up in Sent, then a person decides)

Read `delivery.py` first. Screens call `outbox.services` (what a person does), `outbox.queries` (what a person sees) and
`outbox.suggestions` (whom to write to).
"""
