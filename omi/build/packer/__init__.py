"""Packer: its template, inputs, runs and output."""
