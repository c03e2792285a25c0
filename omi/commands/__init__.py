"""Commands that Pulumi runs for a stack's resources: `python3 -m omi.commands NAME`."""
