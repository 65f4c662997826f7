"""Comparison: every network scored alike, and the page that says how they did."""
