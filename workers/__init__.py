"""What happens inside an RQ job: claim, parse, map, file, record."""
