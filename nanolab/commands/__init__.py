"""The commands behind `nanolab`, one module each."""
