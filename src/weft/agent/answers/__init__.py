"""What an agent answers guests itself."""
