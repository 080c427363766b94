"""A small convolutional network on handwritten digits.

h₁ = tanh(conv(u; K_1) + b_1),  h₂ = tanh(conv(h₁; K_2) + b_2),  q = W_3 h₂ + b_3
f  = mean over the minibatch of log Σ_c exp(q_c) − q_label
"""

import torch
from torch import Tensor

from loptbench.implementations.torch.tasks.base import Problem, Step
from loptbench.tasks import unflatten


def loss(problem: Problem, x: Tensor, step: Step) -> Tensor:
    """f of the minibatch of this step, (..., n_problems)."""
    p = unflatten(x, problem.layout)
    minibatches = problem.arrays["minibatches"].transpose(0, 1)
    images_of_step = minibatches[step % len(minibatches)].long()
    images = problem.arrays["pixels"][images_of_step].to(x.dtype) / problem.arrays["white"]
    h = torch.tanh(_convolution(_patches(images.unsqueeze(-1)), p["K_1"], p["b_1"]))
    h = torch.tanh(_convolution(_patches(h), p["K_2"], p["b_2"]))
    q = h.flatten(start_dim=-3) @ p["W_3"].mT + p["b_3"].unsqueeze(-2)
    labels = problem.arrays["labels"][images_of_step].long().expand(q.shape[:-1])
    q_label = q.gather(-1, labels.unsqueeze(-1)).squeeze(-1)
    mean: Tensor = (torch.logsumexp(q, dim=-1) - q_label).mean(dim=-1)
    return mean


def _patches(images: Tensor) -> Tensor:
    """The 3×3 patches of a convolution with stride 2 and one pixel of padding.

    From (…, side, side, channels) to (…, ⌈side/2⌉², 9 · channels), by row, column, channel.
    """
    side = images.shape[-2]
    half = -(-side // 2)
    after = 2 * half - side
    padded = torch.nn.functional.pad(images, (0, 0, 1, after, 1, after))
    # A view of the patches that is copied once, instead of nine shifted images and their stack.
    *outer, row, column, channel = padded.stride()
    patches = padded.as_strided(
        (*images.shape[:-3], half, half, 3, 3, images.shape[-1]),
        (*outer, 2 * row, 2 * column, row, column, channel),
    )
    return patches.reshape(*images.shape[:-3], half**2, -1)


def _convolution(patches: Tensor, K: Tensor, b: Tensor) -> Tensor:
    """K * patches + b, of (…, batch, side², 9 · in) and (…, out, 3, 3, in).

    Returns: (…, batch, side, side, out).
    """
    side = round(patches.shape[-2] ** 0.5)
    rows = patches.reshape(*patches.shape[:-3], -1, patches.shape[-1])
    output = rows @ K.reshape(*K.shape[:-3], -1).mT + b.unsqueeze(-2)
    return output.reshape(*output.shape[:-2], -1, side, side, output.shape[-1])
