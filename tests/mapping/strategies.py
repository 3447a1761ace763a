"""Any event that a source could hand over."""

from __future__ import annotations

from hypothesis import strategies as st

from service.core.events import Answer, File, InboundEvent, Sender

# Signs that have a meaning to the text, its lines or its direction come up often.
TEXTS = st.text(max_size=400) | st.lists(
    st.sampled_from(
        ["Ref: sb-1", "ref", "\r\n", "\n\n\n", " ", "\t", "\x00", "\u202e", "\u200b", "\u0338", "---", "a"]
    ),
    max_size=40,
).map("".join)
ANSWERS = st.lists(st.builds(Answer, TEXTS, TEXTS, key=TEXTS), max_size=4).map(tuple)
EVENTS = st.builds(
    InboundEvent,
    kind=st.just("form"),
    sender=st.builds(Sender, TEXTS, TEXTS),
    reply_to=st.builds(Sender, TEXTS, TEXTS),
    notes=st.lists(TEXTS, max_size=3).map(tuple),
    subject=TEXTS,
    body=st.text(max_size=6000) | TEXTS,
    answers=ANSWERS,
    hidden=ANSWERS,
    files=st.lists(st.builds(File, TEXTS, TEXTS, st.none() | st.integers(0, 10**9), TEXTS), max_size=3).map(
        tuple
    ),
    recipient=TEXTS,
    origin=TEXTS,
)
