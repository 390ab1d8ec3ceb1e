"""The optimizer of `elmo-pretrain` in PyTorch: Muon for matrices, Adam for tables, filters and vectors."""

import torch
from torch import Tensor

from .network import compiled

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_MOMENTUM, _BETA_1, _BETA_2, _EPSILON = 0.95, 0.9, 0.99, 1e-7
_MATRICES = ("W_transform", "W_carry", "W_proj", "W_0", "W_1", "W_P_0", "W_P_1")


def _adam(
    mean: Tensor, square: Tensor, gradient: Tensor, scale: Tensor, rate: Tensor, number: Tensor
) -> Tensor:
    """Updates both means; returns what is to be taken from the values."""
    gradient = gradient * scale
    mean.mul_(_BETA_1).add_(gradient * (1.0 - _BETA_1))
    square.mul_(_BETA_2).add_(gradient * gradient * (1.0 - _BETA_2))
    corrected = rate * torch.sqrt(1.0 - _BETA_2**number) / (1.0 - _BETA_1**number)
    return corrected * mean / (torch.sqrt(square) + _EPSILON)


_adam = compiled(_adam)


class Optimizer:
    """Moves parameters; every state and the step count are tensors, so that a CUDA graph can replay it.

    Args:
        parameters: By name, as `network.new_parameters` gives them.
        dtype: Of Muon's products.

    Attributes:
        rate: The learning rate, a tensor to be filled.
        state: All tensors that are zero before the first step.
    """

    def __init__(self, parameters: dict[str, Tensor], dtype: torch.dtype) -> None:
        device = next(iter(parameters.values())).device
        self.matrices = {name: value for name, value in parameters.items() if name in _MATRICES}
        self.others = {name: value for name, value in parameters.items() if name not in _MATRICES}
        self.dtype = dtype
        self.rate = torch.zeros((), device=device)
        self.number = torch.zeros((), device=device)
        self.momentums = {name: torch.zeros_like(value) for name, value in self.matrices.items()}
        # All that Adam moves is one long vector.
        size = sum(value.numel() for value in self.others.values())
        self.mean, self.square = torch.zeros(size, device=device), torch.zeros(size, device=device)
        self.state = [self.number, self.mean, self.square, *self.momentums.values()]

    @torch.no_grad()
    def step(self, gradients: dict[str, Tensor]) -> Tensor:
        """Takes a step; returns the norm of all gradients, which are scaled down to a norm of 1."""
        self.number += 1.0
        norm = torch.stack([gradient.float().square().sum() for gradient in gradients.values()]).sum().sqrt()
        scale = 1.0 / norm.clamp(min=1.0)
        # A step whose gradient is no number is left out.
        sound = torch.isfinite(norm)
        scale = torch.where(sound, scale, 0.0)
        gradients = {name: torch.where(sound, value, 0.0) for name, value in gradients.items()}

        # Adam
        flat = torch.cat([gradients[name].float().flatten() for name in self.others])
        moves = _adam(self.mean, self.square, flat, scale, self.rate, self.number)
        sizes = [value.numel() for value in self.others.values()]
        for value, move in zip(self.others.values(), moves.split(sizes), strict=True):
            value.sub_(move.view_as(value))

        # Muon, all matrices of one shape at once
        groups: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = {}
        for name, value in self.matrices.items():
            gradient, momentum = gradients[name].float() * scale, self.momentums[name]
            momentum.mul_(_MOMENTUM).add_(gradient)
            for target, ahead in zip(_cut(value), _cut(gradient + _MOMENTUM * momentum), strict=True):
                groups.setdefault(tuple(target.shape), []).append((target, ahead))
        for shape, members in groups.items():
            moves = orthogonalise(torch.stack([ahead for _, ahead in members]), self.dtype)
            moves = moves * (self.rate * (0.2 * max(shape) ** 0.5))
            for (target, _), move in zip(members, moves.unbind(), strict=True):
                target.sub_(move)
        return norm


def _cut(whole: Tensor) -> list[Tensor]:
    """Returns views of the equal matrices of which a parameter consists.

    The kernel of an LSTM has one per gate for its input and one for its last output, in each direction.
    """
    if whole.dim() == 2:
        return [whole]
    if whole.shape[2] < whole.shape[1]:
        return list(whole.unbind())
    height, width = whole.shape[1] // 2, whole.shape[2] // 4
    return [
        one[row * height : (row + 1) * height, column * width : (column + 1) * width]
        for one in whole.unbind()
        for row in range(2)
        for column in range(4)
    ]


def orthogonalise(matrices: Tensor, dtype: torch.dtype) -> Tensor:
    """Does what `elmo_cli.training.muon.orthogonalise` does, (K, M, N)."""
    a, b, c = _COEFFICIENTS
    high = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if high else matrices
    x = (x / (x.square().sum(dim=(-2, -1), keepdim=True).sqrt() + 1e-7)).to(dtype)
    for _ in range(5):
        square = x @ x.mT
        x = a * x + (b * square + c * (square @ square)) @ x
    x = x.float()
    return x.mT if high else x
