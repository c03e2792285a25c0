"""What Pulumi runs behind a stack's resources: `python3 -m omi.commands NAME`."""
