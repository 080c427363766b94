"""Read MNIST's original files in the IDX format, gzipped or not."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import LoptbenchError
from loptbench.reading import read_file, require_path
from loptbench.tasks.digits import N_CLASSES, Images

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
MAGIC = {IMAGES: 0x00000803, LABELS: 0x00000801}
"""Magic numbers: two zero bytes, 8 for unsigned bytes, and the number of axes."""


def read_mnist(folder: Path) -> Images:
    """The training set of MNIST from a folder with its two IDX files.

    Raises:
        LoptbenchError: a file is missing, truncated, too long or of another type, or the files have
            different numbers of images.
    """
    if not require_path(folder).is_dir():
        raise LoptbenchError(
            f"{folder} is not a folder; give the one that holds {IMAGES} and {LABELS}"
        )
    pixels, labels = _read(folder, IMAGES), _read(folder, LABELS)
    if len(pixels) != len(labels):
        raise LoptbenchError(
            f"{folder} holds {len(pixels)} images but {len(labels)} labels; get both files anew"
        )
    if not pixels.size:
        raise LoptbenchError(f"{folder} holds no images; get both files anew")
    if pixels.shape[1] != pixels.shape[2]:
        raise LoptbenchError(
            f"the images in {folder} must be square, but have {pixels.shape[1]} rows and "
            f"{pixels.shape[2]} columns"
        )
    if labels.max() > 9:
        raise LoptbenchError(
            f"the labels in {folder} must lie in 0 to 9, but one is {labels.max()}; get both files "
            "anew"
        )
    if len(pixels) < N_CLASSES or len(np.unique(labels)) < 2:
        raise LoptbenchError(
            f"{folder} holds {len(pixels)} images of {len(np.unique(labels))} classes; at least "
            f"{N_CLASSES} images and 2 classes are needed: give all of MNIST's training set"
        )
    return Images(pixels, labels.astype(np.int32), 255, str(folder))


def _read(folder: Path, name: str) -> NDArray[Any]:
    path = _find(folder, name)
    try:
        content = read_file(path)
    except LoptbenchError as error:
        raise LoptbenchError(f"{error}; get it anew") from error
    return _parse(path, name, content)


FOLDERS = ("", "raw", "MNIST/raw")
"""Where the files lie in a folder: at once, or as torchvision's `MNIST(root, download=True)` puts
them."""


def _find(folder: Path, name: str) -> Path:
    """The file of that name, gzipped or not, in one of `FOLDERS` or in a folder of its own."""
    dotted = name.replace("-idx", ".idx")
    names = [name, f"{name}.gz", dotted, f"{dotted}.gz"]
    own_folders = [f"{outer}/{inner}" for outer in (name, dotted) for inner in names]
    for place in FOLDERS:
        for file_name in (*names, *own_folders):
            if (folder / place / file_name).is_file():
                return folder / place / file_name
    raise LoptbenchError(
        f"{folder} has no {name} (nor {name}.gz), and neither have {folder / 'raw'} and "
        f"{folder / 'MNIST' / 'raw'}; give the folder with MNIST's training images and labels as "
        "IDX files"
    )


def _parse(path: Path, name: str, content: bytes) -> NDArray[Any]:
    expected = MAGIC[name]
    n_axes = expected & 0xFF
    header = 4 * (1 + n_axes)
    if len(content) < header:
        raise LoptbenchError(
            f"{path} is truncated: an IDX header of {n_axes} axes has {header} bytes, but the file "
            f"has {len(content)}"
        )
    magic, *shape = (int(number) for number in np.frombuffer(content[:header], ">u4"))
    if magic != expected:
        raise LoptbenchError(
            f"{path} is not the IDX file it should be: its magic number is {magic:#010x}, but "
            f"{name} has {expected:#010x}"
        )
    body = len(content) - header
    if body != math.prod(shape):
        fault = "is truncated" if body < math.prod(shape) else "is too long"
        raise LoptbenchError(
            f"{path} {fault}: its header promises {' × '.join(map(str, shape))} = "
            f"{math.prod(shape)} bytes, but {body} follow; get it anew"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
