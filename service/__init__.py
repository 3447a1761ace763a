"""What happens inside an HTTP request: verify, identify, accept, answer."""
