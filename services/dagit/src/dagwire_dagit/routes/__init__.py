"""The routes of the HTTP API, one module per resource. They translate; what is decided, other modules decide."""
