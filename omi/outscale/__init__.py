"""OUTSCALE as this project uses it: small typed calls on FCU by boto3, and on OAPI where FCU has no such call."""
