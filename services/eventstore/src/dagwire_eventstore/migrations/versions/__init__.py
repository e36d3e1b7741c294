"""One module per change. A change only adds: what it replaces is dropped by a later release."""
