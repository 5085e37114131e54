"""A self-contained report of a run: one HTML file, the same bytes whenever it is made from the same folder."""
