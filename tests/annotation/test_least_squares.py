"""Least squares: shares of normal equations have the cost and slopes of their robust loss."""

import pytest
import torch

from hand_pose_ros.annotation.least_squares import Equations, robust_equations

REACH = 3.0


def problem(scale=1.0):
    generator = torch.Generator().manual_seed(0)
    slope = torch.randn(2, 4, 3, 5, generator=generator, dtype=torch.float64)
    constant = scale * torch.randn(2, 3, 5, generator=generator, dtype=torch.float64)
    used = torch.tensor([[True] * 5, [True, False, True, False, True]])
    return slope, constant, used


def cost(parameters, slope, constant, used):
    residual = constant + torch.einsum('mpdr,mp->mdr', slope, parameters)
    square = residual.square().sum(dim=1)
    return 0.5 * torch.where(used, square * REACH**2 / (REACH**2 + square), 0.0).sum(dim=1)


def test_cost_and_gradient_are_those_of_the_loss():
    slope, constant, used = problem()
    at = torch.zeros(2, 4, dtype=torch.float64, requires_grad=True)
    expected = cost(at, slope, constant, used)
    (gradient,) = torch.autograd.grad(expected.sum(), at)
    found, weight = robust_equations(constant, slope, used, REACH)
    assert torch.allclose(found.cost, expected) and torch.allclose(found.gradient, gradient)
    assert (weight[~used] == 0).all() and ((weight > 0) & (weight <= 1))[used].all()


def test_near_residuals_have_the_curvature_of_squares():
    slope, constant, used = problem(1e-9)
    found, _ = robust_equations(constant, slope, used, REACH)
    expected = torch.einsum('mpdr,mqdr,mr->mpq', slope, slope, used.double())
    assert torch.allclose(found.hessian, expected)


def test_far_residuals_cost_no_more_than_the_reach():
    slope, constant, used = problem(1e6)
    found, weight = robust_equations(constant, slope, used, REACH)
    assert found.cost.tolist() == pytest.approx([0.5 * 5 * REACH**2, 0.5 * 3 * REACH**2])
    assert weight.max() < 1e-9 and found.hessian.abs().max() < 1e-6


def test_shares_add_up_and_nothing_adds_nothing():
    slope, constant, used = problem()
    found, _ = robust_equations(constant, slope, used, REACH)
    twice = found + found + Equations.zero(slope)
    assert torch.equal(twice.cost, 2 * found.cost)
    assert torch.equal(twice.gradient, 2 * found.gradient)
    assert torch.equal(twice.hessian, 2 * found.hessian)
