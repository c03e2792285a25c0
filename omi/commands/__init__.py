"""The commands that stand behind a stack's resources, and the ones a person runs: `python3 -m omi NAME`."""
