"""Training: a run's settings, its fitting, and what it leaves in its folder."""
