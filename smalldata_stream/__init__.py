"""One graph from X-ray pulse to plot and to file: reduce XFEL data live and offline."""

__version__ = "0.1.0"
