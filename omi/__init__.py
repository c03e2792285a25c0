"""The domain: profiles, Alpine releases, ledger, plan, Packer, OUTSCALE, verification and releases. Never imports pulumi."""
