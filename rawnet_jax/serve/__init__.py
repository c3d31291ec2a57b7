"""The service: HTTP and WebSocket in front of a detector, and what makes it a gate."""
