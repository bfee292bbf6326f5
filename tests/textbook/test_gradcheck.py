"""Numeric gradients: right for any strides and types, and x is put back."""

import pytest
import torch

from fcsweep.gradcheck import compute_numeric_gradient, rel_error


def cubes(x):
    return x**3


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-9), (torch.float32, 1e-3)])
def test_of_a_known_function(dtype, tolerance):
    x = torch.linspace(-2, 2, 12, dtype=dtype).reshape(3, 4)
    assert rel_error(compute_numeric_gradient(cubes, x), 3 * x**2) < tolerance


def test_with_a_gradient_from_above():
    x, above = torch.rand(3, 2, dtype=torch.float64), torch.rand(3, 2, dtype=torch.float64)
    assert rel_error(compute_numeric_gradient(cubes, x, above), 3 * x**2 * above) < 1e-9


@pytest.mark.parametrize("view", [lambda x: x.T, lambda x: x[::2, 1:], lambda x: x[:, 0]])
def test_of_views(view):
    x = view(torch.rand(6, 4, dtype=torch.float64))
    assert rel_error(compute_numeric_gradient(cubes, x), 3 * x**2) < 1e-9


def test_of_a_scalar_function_that_looks_at_x_itself():
    x = torch.rand(3, dtype=torch.float64)
    assert rel_error(compute_numeric_gradient(lambda _: (x**2).sum(), x), 2 * x) < 1e-9


def test_x_is_put_back_even_after_an_error():
    x = torch.rand(3)
    before = x.clone()
    compute_numeric_gradient(cubes, x)
    assert torch.equal(x, before)

    def fails(_):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        compute_numeric_gradient(fails, x)
    assert torch.equal(x, before)


def test_rel_error():
    x = torch.tensor([1.0, 2.0])
    assert rel_error(x, x) == 0
    assert rel_error(x, torch.tensor([1.0, 4.0])) == pytest.approx(2 / 6)
    assert rel_error(torch.zeros(2), torch.zeros(2)) == 0
    with pytest.raises(ValueError, match="shapes differ"):
        rel_error(x, torch.zeros(3))
