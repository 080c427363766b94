"""Train a small network of one's own with a learned optimizer, beside Adam, in PyTorch.

python examples/train_with_torch.py
"""

import torch
from sklearn.datasets import load_breast_cancer
from torch import nn

import loptbench

N_STEPS = 200


def data() -> tuple[torch.Tensor, torch.Tensor]:
    """Features with mean 0 and variance 1, (569, 30), and labels 0 or 1, (569,)."""
    x, y = load_breast_cancer(return_X_y=True)
    features = torch.tensor((x - x.mean(axis=0)) / x.std(axis=0), dtype=torch.float32)
    return features, torch.tensor(y, dtype=torch.float32)


def network() -> nn.Module:
    """The same network at every call."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(30, 16), nn.Tanh(), nn.Linear(16, 1))


def train(name: str) -> list[float]:
    """The loss before every step.

    Args:
        name: `learned` or `adam`.
    """
    features, labels = data()
    model = network()
    if name == "learned":
        optimizer = loptbench.load("two_moons-quick-torch-0").as_torch(model.parameters())
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(N_STEPS):
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(model(features)[:, 0], labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def main() -> dict[str, list[float]]:
    """Train with both, and print their losses."""
    curves = {name: train(name) for name in ("learned", "adam")}
    for name, losses in curves.items():
        print(
            f"{name:8}", *(f"{loss:.4f}" for loss in losses[:: N_STEPS // 5]), f"{losses[-1]:.4f}"
        )
    return curves


if __name__ == "__main__":
    main()
