"""What is claimed about speed and memory, as ratios in one run."""
