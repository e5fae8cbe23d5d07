"""The words of the graph language, one line each: a method name and its parameters.

A word ties a method to the frozen dataclass that holds its parameters, so that editors and
type checkers know its exact signature and a misspelled parameter is an error before it is
run. To add a reduction: one file in ``reductions/``, one line in `Words`, one contract
test, one changelog line. Other packages add words through the entry point group
``smalldata_stream.words``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache, wraps
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, overload

from smalldata_stream.errors import GraphError, did_you_mean
from smalldata_stream.protocols import Reduction
from smalldata_stream.reductions.assembled import Assembled
from smalldata_stream.reductions.autocorrelation import Autocorrelation
from smalldata_stream.reductions.azimuthal import Azimuthal
from smalldata_stream.reductions.baseline import Baseline
from smalldata_stream.reductions.center import RingCenter
from smalldata_stream.reductions.cfd import Cfd
from smalldata_stream.reductions.compressed import Compressed
from smalldata_stream.reductions.contrast import Contrast
from smalldata_stream.reductions.curvature import Curvature
from smalldata_stream.reductions.droplet import Droplets
from smalldata_stream.reductions.droplet2photon import Droplet2Photon
from smalldata_stream.reductions.full import Full
from smalldata_stream.reductions.hits import Hits
from smalldata_stream.reductions.integral import Integral
from smalldata_stream.reductions.lineout import Lineout
from smalldata_stream.reductions.normalise import Normalise
from smalldata_stream.reductions.peaks import Peaks
from smalldata_stream.reductions.photons import Photons
from smalldata_stream.reductions.plots.histogram import Histogram
from smalldata_stream.reductions.plots.image import Image
from smalldata_stream.reductions.plots.line import Line
from smalldata_stream.reductions.plots.scan import Scan
from smalldata_stream.reductions.plots.scatter import Scatter
from smalldata_stream.reductions.plots.strip import Strip
from smalldata_stream.reductions.projection import Projection
from smalldata_stream.reductions.rebin import Rebin
from smalldata_stream.reductions.roi import Roi
from smalldata_stream.reductions.rotation import Rotate
from smalldata_stream.reductions.sparse import Sparsify, Unsparsify
from smalldata_stream.reductions.speckle import SpeckleSize
from smalldata_stream.reductions.spectrum import Spectrum
from smalldata_stream.reductions.sum import Sum
from smalldata_stream.reductions.svd_fit import SvdFit

if TYPE_CHECKING:
    from smalldata_stream.flow import Node

P = ParamSpec("P")


class Reducible(Protocol):
    """What words can be chained to."""

    def reduce(self, reduction: Reduction) -> Node:
        """Chain a reduction."""


class Word(Generic[P]):
    """A method that chains one reduction; made by `word`."""

    def __init__(self, make: Callable[P, Reduction]):
        self.make = make
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, node: None, owner: type) -> Word[P]: ...
    @overload
    def __get__(self, node: Reducible, owner: type) -> Callable[P, Node]: ...
    def __get__(self, node: Reducible | None, owner: type) -> Word[P] | Callable[P, Node]:
        if node is None:
            return self

        @wraps(self.make)
        def chain(*args: P.args, **kwargs: P.kwargs) -> Node:
            check_parameters(self.name, self.make, args, kwargs)
            return node.reduce(self.make(*args, **kwargs))

        return chain


def word(make: Callable[P, Reduction]) -> Word[P]:
    """The method whose parameters are those of ``make``, a frozen dataclass."""
    return Word(make)


class PlotWords:
    """Every plot of a node: ``node.plot.histogram(...)``."""

    strip = word(Strip)
    histogram = word(Histogram)
    scatter = word(Scatter)
    line = word(Line)
    image = word(Image)
    scan = word(Scan)

    def __init__(self, node: Reducible):
        self._node = node

    def reduce(self, reduction: Reduction) -> Node:
        """Chain a plot that has no word of its own."""
        return self._node.reduce(reduction)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        kinds = [w for w, value in vars(PlotWords).items() if isinstance(value, Word)]
        raise AttributeError(f"there is no plot {name!r}; {did_you_mean(name, kinds)}")


class Words:
    """Every word that can be chained behind a node."""

    image = word(Assembled)
    roi = word(Roi)
    full = word(Full)
    projection = word(Projection)
    lineout = word(Lineout)
    rebin = word(Rebin)
    spectrum = word(Spectrum)
    sparsify = word(Sparsify)
    unsparsify = word(Unsparsify)
    peaks = word(Peaks)
    autocorrelation = word(Autocorrelation)
    speckle_size = word(SpeckleSize)
    center = word(RingCenter)
    curvature = word(Curvature)
    rotate = word(Rotate)
    normalise = word(Normalise)
    compressed = word(Compressed)
    sum = word(Sum)
    azimuthal = word(Azimuthal)
    droplets = word(Droplets)
    integral = word(Integral)
    hits = word(Hits)
    cfd = word(Cfd)
    baseline = word(Baseline)
    svd_fit = word(SvdFit)
    droplet2photon = word(Droplet2Photon)
    photons = word(Photons)
    contrast = word(Contrast)

    @property
    def plot(self) -> PlotWords:
        """The plots of what this node puts out."""
        return PlotWords(self)

    def reduce(self, reduction: Reduction) -> Node:
        """Chain a reduction that has no word of its own."""
        raise TypeError(f"{type(self).__name__} cannot be reduced")


def check_parameters(
    name: str,
    make: Callable[..., object],
    args: tuple[object, ...],
    kwargs: dict[str, object],
) -> None:
    """Raise `GraphError` where the parameters are not those of ``make``.

    >>> check_parameters("roi", lambda bounds, area=False: None, (), {"aera": True})
    Traceback (most recent call last):
    ...
    smalldata_stream.errors.GraphError: roi has no parameter 'aera'; did you mean 'area'? \
There is: area, bounds
    """
    signature = inspect.signature(make)
    for given in kwargs:
        if given not in signature.parameters:
            near = did_you_mean(given, signature.parameters)
            raise GraphError(f"{name} has no parameter {given!r}; {near}")
    try:
        given_all = signature.bind_partial(*args, **kwargs).arguments
    except TypeError as error:
        raise GraphError(f"{name}{signature}: {error}") from error
    missing = [
        p.name
        for p in signature.parameters.values()
        if p.default is p.empty
        and p.name not in given_all
        and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if missing:
        known = ", ".join(signature.parameters)
        raise GraphError(
            f"{name} needs {' and '.join(missing)}; its parameters are: {known}"
        )


@cache
def load_foreign_words() -> None:
    """Add the words that other installed packages offer; never replaces one of ours."""
    for entry in entry_points(group="smalldata_stream.words"):
        if hasattr(Words, entry.name):
            raise GraphError(
                f"the word {entry.name!r} of {entry.value} exists already; "
                "its package must give it another name"
            )
        foreign: Word[...] = word(entry.load())
        foreign.__set_name__(Words, entry.name)
        setattr(Words, entry.name, foreign)
