"""What the source `slack` is made of: requests as what somebody asks for, the Web API, and the ways back."""
