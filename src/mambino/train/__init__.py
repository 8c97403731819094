"""Training: packed token streams, losses, optimisers, one loop. Start at loop.train."""
