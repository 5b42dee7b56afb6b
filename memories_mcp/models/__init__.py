"""Models: what goes into an operation, what comes out, and what the wire sends."""
