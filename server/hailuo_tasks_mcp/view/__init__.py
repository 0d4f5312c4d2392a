"""What a person sees of tasks in a chat: one HTML page, which the host shows."""
