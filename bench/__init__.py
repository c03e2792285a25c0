"""Claims about speed and memory, as ratios in one run. The tests run each of them once, small."""
