"""The shared kernel: errors, event model, signing, source base, ledger, blobs, queue, mapping.

Nothing here knows of Flask.
"""
