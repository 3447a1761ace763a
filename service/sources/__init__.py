"""One module per vendor and nothing else; `service.core.registry.discover` finds them."""
