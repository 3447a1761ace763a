"""The Spacebring API as the workers see it: client, credentials, table of answers, shared rate limiter."""
