"""Variables of a MATLAB file, up to version 7 or 7.3, cut along their last axis.

Axes are MATLAB's: a video is (H,W,3,N). Version 7.3 is HDF5, which h5py reads with the
axes the other way round, and frame by frame; older ones are read whole by scipy.
"""

import h5py
import numpy as np
import scipy.io


class MatFile:
    """One open file; a context manager."""

    def __init__(self, path):
        self.path = path
        try:
            self.hdf5 = h5py.is_hdf5(path)
            self.variables = h5py.File(path, "r") if self.hdf5 else scipy.io.loadmat(path)
        except FileNotFoundError:
            raise
        except Exception as err:  # either library has a dozen kinds of its own
            raise ValueError(f"{path}: cannot be read as a MATLAB file ({err}); save it anew with -v7 or -v7.3") from err

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.hdf5:
            self.variables.close()

    def find(self, *names):
        """The first of the names that the file holds."""
        for name in names:
            if name in self.variables:
                return name
        there = sorted(n for n in self.variables if not n.startswith(("__", "#")))
        raise ValueError(f"{self.path}: has no variable {' or '.join(names)}, only {', '.join(there) or 'none'}; "
                         "save the file with it")

    def shape(self, name):
        """Sizes in MATLAB's order."""
        shape = self.variables[name].shape
        return shape[::-1] if self.hdf5 else shape

    def items(self, name, index):
        """The items at an index of the last axis, first: (n, the other axes…)."""
        variable = self.variables[name]
        if self.hdf5:
            return np.stack([variable[i].T for i in index])
        return np.moveaxis(variable[..., index], -1, 0)

    def row(self, name):
        """A variable of N numbers as (N,)."""
        return np.asarray(self.variables[name]).ravel()
