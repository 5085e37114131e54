"""Assays: one folder or module each, with plan, prediction and analysis."""
