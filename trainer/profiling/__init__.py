"""What a bundle costs: numbers, operations, memory, time."""
