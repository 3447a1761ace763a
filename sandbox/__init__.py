"""A stand-in Spacebring to run and test against, with switchable faults."""
