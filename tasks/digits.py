"""A small convolutional network on handwritten digits; the paper's later version has MNIST."""

import dataclasses
import functools
import hashlib
from collections.abc import Iterable
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import LoptbenchError
from loptbench.tasks.base import (
    CheckSettings,
    Layout,
    ProblemBatch,
    as_indices,
    layout_size,
    require_positive,
)
from loptbench.tasks.networks import initial_weights
from loptbench.tasks.streams import generator

N_CLASSES = 10


@dataclasses.dataclass(frozen=True, eq=False)
class Images:
    """Labelled images.

    Attributes:
        pixels: (n_images, side, side), 0 to `white`.
        labels: (n_images,), 0 to 9.
        white: the largest value that a pixel can have.
        source: the origin of the images, for messages.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int32]
    white: int
    source: str

    @functools.cached_property
    def sha256(self) -> str:
        """The SHA-256 hash of every pixel and label."""
        digest = hashlib.sha256(f"{self.pixels.shape} {self.white}".encode())
        digest.update(self.pixels.tobytes() + self.labels.tobytes())
        return digest.hexdigest()


EMBEDDED_SIDE = 8
"""Pixels along each side of scikit-learn's images."""


@functools.cache
def embedded_digits() -> Images:
    """The 1,797 images of 8×8 pixels that come with scikit-learn."""
    from sklearn.datasets import load_digits  # the import takes a second

    bunch = load_digits()
    pixels, labels = bunch.images.astype(np.uint8), bunch.target.astype(np.int32)
    return Images(pixels, labels, 16, "scikit-learn's load_digits")


@dataclasses.dataclass(frozen=True)
class Digits:
    """Two strided 3×3 tanh convolutions and a linear softmax layer, on minibatches.

        h₁ = tanh(conv(u; K_1) + b_1),  h₂ = tanh(conv(h₁; K_2) + b_2),  q = W_3 h₂ + b_3
        f(x) = mean over the minibatch of log Σ_c exp(q_c) − q_label

    A convolution has stride 2 and a padding of one pixel of zeros (side → ⌈side/2⌉). Its kernel is
    not flipped: unit o at (i, j) is Σ K[o, r, s, c] · u[2i + r − 1, 2j + s − 1, c]. u is the pixels
    divided by `white`. h₂ is flattened in row-major order, channels last. The minibatch of step k
    is row k mod n_steps of the problem's own `minibatches`, which are drawn with replacement. The
    task is the paper's; the sizes are our choice. Problems differ in initial weights and
    minibatches.

    The arrays of a batch: `minibatches` (n_problems, n_steps, batch_size), indices of images. The
    shared arrays: `pixels` (n_images, side, side), `labels` (n_images,), `white` ().

    Attributes:
        channels: the channels of a convolution; this scales the task.
        batch_size: the number of images in a minibatch.
        n_steps: the number of inner steps.
        images: the images; None for scikit-learn's.

    Example:
        >>> Digits().sample("evaluate", 0, range(3)).initial_parameters.shape
        (3, 994)
    """

    channels: int = 8
    batch_size: int = 64
    n_steps: int = 100
    images: Images | None = None
    name: str = dataclasses.field(default="digits", init=False)
    checks: ClassVar[CheckSettings] = CheckSettings(
        small={"channels": 3, "batch_size": 6},
        resized={"channels": 2, "batch_size": 4, "n_steps": 7},
        rate=0.1,
        scales=(7.0, 0.01),
    )  # a run of more than 7 steps repeats its 7 minibatches

    def __post_init__(self) -> None:
        require_positive(
            self.name, channels=self.channels, batch_size=self.batch_size, n_steps=self.n_steps
        )
        data = self.images
        if data is None:
            return  # scikit-learn's images are known to be valid, and are read when needed
        if not len(data.pixels) == len(data.labels) > 0:
            raise LoptbenchError(
                f"the data of task 'digits' must have one label for each of at least one image, "
                f"but there are {len(data.pixels)} images and {len(data.labels)} labels"
            )
        if not 0 <= data.labels.min() <= data.labels.max() < N_CLASSES:
            raise LoptbenchError(
                f"labels of task 'digits' lie in 0 to 9, but those found in {data.source} reach "
                f"from {data.labels.min()} to {data.labels.max()}"
            )

    @property
    def data(self) -> Images:
        """The images."""
        return self.images or embedded_digits()

    @property
    def _sides(self) -> tuple[int, int]:
        side = EMBEDDED_SIDE if self.images is None else self.images.pixels.shape[1]
        first = -(-side // 2)
        return first, -(-first // 2)

    @property
    def layout(self) -> Layout:
        """The order and shapes of the parameters; the first axis is the output unit."""
        c = self.channels
        return {
            "K_1": (c, 3, 3, 1),
            "b_1": (c,),
            "K_2": (c, 3, 3, c),
            "b_2": (c,),
            "W_3": (N_CLASSES, self._sides[1] ** 2 * c),
            "b_3": (N_CLASSES,),
        }

    @property
    def n_parameters(self) -> int:
        """9c + c + 9c² + c + 10 · side² · c + 10."""
        return layout_size(self.layout)

    @property
    def n_floats(self) -> int:
        """The patches and activations of both layers and their adjoints for every image."""
        (first, second), c = self._sides, self.channels
        per_image = first**2 * (9 + 2 * c) + second**2 * (9 * c + 2 * c) + 2 * N_CLASSES
        return 2 * self.batch_size * per_image

    def sample(self, split: str, seed: int, indices: Iterable[int]) -> ProblemBatch:
        """See `loptbench.tasks.Task`."""
        indices = as_indices(indices)
        data = self.data
        starts, minibatches = [], []
        for index in indices:
            rng = generator(self.name, split, seed, index)
            starts.append(initial_weights(self.layout, rng))
            size = (self.n_steps, self.batch_size)
            minibatches.append(rng.integers(0, len(data.pixels), size, dtype=np.int32))
        return ProblemBatch(
            self.name,
            np.stack(starts),
            self.layout,
            {"minibatches": np.stack(minibatches)},
            {"pixels": data.pixels, "labels": data.labels, "white": np.asarray(float(data.white))},
            split,
            seed,
            indices,
        )
