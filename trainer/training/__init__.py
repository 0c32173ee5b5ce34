"""The training loop and its parts, from one step to several processes."""
