"""When a second learning algorithm emerges, and what it takes."""
