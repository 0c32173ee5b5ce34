"""What a network looks at, judged against what really happened."""
