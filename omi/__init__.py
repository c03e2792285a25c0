"""The domain: profiles, Alpine releases, ledger, plan, Packer, OUTSCALE, verify, releases. Never imports pulumi."""
