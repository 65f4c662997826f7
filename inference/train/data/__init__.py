"""Recordings: readers of every layout, tokens on disk, and training windows drawn from them."""
