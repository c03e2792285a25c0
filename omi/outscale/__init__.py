"""OUTSCALE as this project uses it: its API (OAPI) by a small client, and its object store (OOS) by boto3."""
