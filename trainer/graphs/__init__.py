"""The graph that is served: made, made lean, held to torch, made ready for less precision."""
