"""Interlock rules and the permission to emit."""
