"""From the rows of a dataset to batches of windows: where they lie, which there are, what an epoch sees."""
