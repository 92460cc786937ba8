"""Least squares: robust residuals of many hands at once as shares of their normal equations."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Equations:
    """A term's share of the normal equations of M hands.

    Attributes:
        cost: (M,) half the sum of robust squared residuals.
        gradient: (M, P) of the cost.
        hessian: (M, P, P) its Gauss-Newton matrix.
    """

    cost: Tensor
    gradient: Tensor
    hessian: Tensor

    @classmethod
    def zero(cls, jacobian: Tensor) -> 'Equations':
        """Return the share of nothing, for parameters as in a jacobian (M, P, ...)."""
        batch, size = jacobian.shape[:2]
        return cls(
            cost=jacobian.new_zeros(batch), gradient=jacobian.new_zeros(batch, size),
            hessian=jacobian.new_zeros(batch, size, size),
        )  # fmt: skip

    def __add__(self, other: 'Equations') -> 'Equations':
        return Equations(
            cost=self.cost + other.cost,
            gradient=self.gradient + other.gradient,
            hessian=self.hessian + other.hessian,
        )


def along(direction: Tensor, slope: Tensor) -> Tensor:
    """Return slopes (M, P, N) of vectors whose slopes are (M, P, D, N) along others (M, D, N).

    Much faster than a product of many small matrices, which ``einsum`` would make of it.
    """
    parts = zip(direction.unbind(dim=1), slope.unbind(dim=2), strict=True)
    return sum((one[:, None] * other for one, other in parts), slope.new_zeros(()))


def robust_equations(
    residual: Tensor, slope: Tensor, used: Tensor, reach: float
) -> tuple[Equations, Tensor]:
    """Return the share of R residuals of D components each, and the weight (M, R) each got.

    The loss is Geman-McClure's: no residual costs more than half of ``reach`` squared.

    Args:
        residual: (M, D, R) in standard deviations.
        slope: (M, P, D, R) of them by the parameters.
        used: (M, R) bool; the others may be anything finite.
        reach: standard deviations from which a residual counts less and less.
    """
    square = residual.square().sum(dim=1)
    ratio = reach**2 / (reach**2 + square)
    weight = torch.where(used, ratio.square(), 0.0)
    root = weight.sqrt()[:, None]
    change = (slope * root[:, None]).flatten(2)
    flat = (residual * root).flatten(1)
    equations = Equations(
        cost=0.5 * torch.where(used, ratio * square, 0.0).sum(dim=1),
        gradient=(change @ flat[..., None])[..., 0],
        hessian=change @ change.mT,
    )
    return equations, weight
