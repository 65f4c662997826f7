"""Adapts a model to a plant: thresholds from its own normal hours, further training on a few labelled episodes.

shipped.py opens the model, scoring.py runs it along the plant's hours, calibration.py and
thresholds.py tell and choose what normal hours can, windows.py and student.py train the whole
network further, outcome.py judges, page.py tells, adapt.py puts it together and curve.py
measures all of it on furnaces that training has left out.
"""
