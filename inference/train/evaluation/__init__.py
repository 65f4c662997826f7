"""Evaluation: whole records through a network, the choice of a decision, the figures."""
