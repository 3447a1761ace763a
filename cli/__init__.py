"""The `bridge` command. It may import everything; nothing imports it."""
