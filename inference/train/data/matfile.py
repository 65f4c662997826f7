"""Variables of a MATLAB file, up to version 7 or 7.3, sliced along their last axis.

Axes are MATLAB's: a video is (H,W,3,N). Version 7.3 is HDF5, which h5py reads frame
by frame with the axes reversed; scipy reads older files as a whole.
"""

import h5py
import numpy as np
import scipy.io


class MatFile:
    """An open file, as a context manager."""

    def __init__(self, path):
        self.path = path
        try:
            self.hdf5 = h5py.is_hdf5(path)
            self.variables = h5py.File(path, "r") if self.hdf5 else scipy.io.loadmat(path)
        except FileNotFoundError:
            raise
        except Exception as err:  # both libraries raise a dozen types of their own
            raise ValueError(f"{path}: invalid MATLAB file ({err}); save it again with -v7 or -v7.3") from err

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.hdf5:
            self.variables.close()

    def find(self, *names):
        """The first of the names that exists in the file; ValueError if none does."""
        for name in names:
            if name in self.variables:
                return name
        there = sorted(n for n in self.variables if not n.startswith(("__", "#")))
        raise ValueError(f"{self.path}: variable {' or '.join(names)} is missing (found {', '.join(there) or 'none'}); "
                         "save the file with it")

    def shape(self, name):
        """The variable's shape in MATLAB's order of axes."""
        shape = self.variables[name].shape
        return shape[::-1] if self.hdf5 else shape

    def items(self, name, index):
        """The items at an index of the last axis, which comes first: (n, other axes…)."""
        variable = self.variables[name]
        if self.hdf5:
            return np.stack([variable[i].T for i in index])
        return np.moveaxis(variable[..., index], -1, 0)

    def row(self, name):
        """A variable of N numbers as (N,)."""
        return np.asarray(self.variables[name]).ravel()
