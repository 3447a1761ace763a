"""What a mail service found out about a mail, as a note in the ticket.

Only what the service says beside the mail counts. A header may be the sender's own: `Authentication-Results`
or `Received-SPF` in a mail proves nothing.
"""

from __future__ import annotations


def sender_notes(
    vendor: str, *, spf: str = "", signed: bool | None = None, dmarc: str = ""
) -> tuple[str, ...]:
    """Say that the sender is not verified, and why, or nothing.

    `spf` and `dmarc` are the vendor's words in any case; `signed` is whether a DKIM signature holds, None
    where the vendor does not tell. DMARC (RFC 7489) takes both into account and so decides; without it a
    failed SPF counts only where no signature makes up for it: mail that was forwarded fails SPF.
    """
    spf, dmarc = spf.strip().lower(), dmarc.strip().lower()
    why = ""
    if dmarc == "fail":
        why = "DMARC failed"
    elif dmarc != "pass" and signed is False and spf in {"fail", "softfail"}:
        why = "neither SPF nor a DKIM signature holds"
    elif dmarc != "pass" and signed is None and spf == "fail":
        why = "SPF failed"
    return (f"Sender not verified: {why} ({vendor})",) if why else ()
