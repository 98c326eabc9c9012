"""The service's face: HTTP and WebSocket over one controller. Nothing here decides; it reads, asks and answers."""
