"""Calls to others' APIs: one deadline for a whole call, bounded answers, errors made readable."""
