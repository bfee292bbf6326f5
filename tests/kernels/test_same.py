"""On a CPU a trial gets the same bits alone and in any stack, from layers to the Solver."""

from dataclasses import dataclass

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor

from fcsweep.kernels import arithmetic, processor, products
from fcsweep.kernels.arithmetic import product, total
from fcsweep.layers import HIDDEN, Dropout, Linear
from fcsweep.losses import huber_loss, mse_loss, softmax_loss, svm_loss
from fcsweep.nets import FullyConnectedNet
from fcsweep.normalization import NORMALIZATIONS
from fcsweep.optim import RULES
from fcsweep.schedules import SCHEDULES
from fcsweep.solver import Solver

STACKS = (1, 2, 5, 33)
SIZES = st.integers(1, 256) | st.sampled_from([1, 2, 10, 25, 47, 48, 64, 100, 128])
DTYPES = st.sampled_from([torch.float32, torch.float64])
THREADS = st.sampled_from([1, 2, 3, 8])
SEEDS = st.integers(0, 2**31)
quick = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # shrinking takes minutes, and every example is small enough to read
    derandomize=True,
)
thorough = settings(quick, max_examples=1000)


@pytest.fixture(params=[pytest.param("quick"), pytest.param("thorough", marks=pytest.mark.slow)])
def examples(request):
    return quick if request.param == "quick" else thorough


@dataclass
class Draw:
    """Random tensors of a stack, each trial on its own as it would come alone."""

    seed: int
    dtype: torch.dtype

    def stack(self, *shape: int) -> Tensor:
        source = torch.Generator().manual_seed(self.seed)
        self.seed += 1
        return torch.randn(max(STACKS), *shape, generator=source, dtype=self.dtype)


def assert_same(compute, *stacked: Tensor, shared: tuple[Tensor, ...] = ()):
    """``compute`` of the first 1, 2, 5, 33 trials (and of the last one alone) agree bit for bit."""

    def of(trials: slice):
        out = compute(*[t[trials].clone() for t in stacked], *shared)
        return out if isinstance(out, tuple) else (out,)

    whole = of(slice(None))
    for k in STACKS[:-1]:
        for part, all_trials in zip(of(slice(k)), whole, strict=True):
            assert torch.equal(part, all_trials[:k]), f"the first {k} trials differ"
    for part, all_trials in zip(of(slice(-1, None)), whole, strict=True):
        assert torch.equal(part, all_trials[-1:]), "the last trial differs alone"


def check(examples, **strategies):
    """Run a property with the number of examples that the fixture asks for."""
    return lambda body: examples(given(**strategies)(body))()


def test_products_and_sums(examples):
    @check(examples, n=SIZES, i=SIZES, m=SIZES, dtype=DTYPES, threads=THREADS, seed=SEEDS)
    def body(n, i, m, dtype, threads, seed):
        torch.set_num_threads(threads)
        draw = Draw(seed, dtype)
        a, b = draw.stack(n, i), draw.stack(i, m)
        assert_same(product, a, b)
        assert_same(lambda a, b: product(a.mT.contiguous().mT, b), a, b)
        assert_same(lambda b, a: product(a, b), b, shared=(a[:1],))
        assert_same(lambda a: (total(a, -1), total(a, -2)), a)


def test_the_threads_change_no_product(examples):
    """MKL gives several threads a matrix where it has fewer matrices than threads."""

    @check(examples, n=SIZES, i=SIZES, m=SIZES, dtype=DTYPES, seed=SEEDS)
    def body(n, i, m, dtype, seed):
        draw = Draw(seed, dtype)
        a, b = draw.stack(n, i), draw.stack(i, m)
        torch.set_num_threads(1)
        expected = product(a, b)
        for threads in (2, 3, 8):
            torch.set_num_threads(threads)
            for k in STACKS:
                assert torch.equal(product(a[:k].clone(), b[:k].clone()), expected[:k]), (
                    threads,
                    k,
                )
                assert torch.get_num_threads() == threads


@pytest.mark.parametrize("size", [(109, 109, 109), (73, 179, 117), (111, 181, 197)])
def test_threads_that_change_a_single_number_are_found_out(size):
    """Of eight threads of MKL with AVX2 one computes the corner alone, which often agrees."""
    n, i, m = size
    for seed in range(20):
        draw = Draw(seed, torch.float64)
        a, b = draw.stack(n, i)[:1], draw.stack(i, m)[:1]
        torch.set_num_threads(1)
        expected = product(a, b)
        torch.set_num_threads(8)
        assert torch.equal(product(a, b), expected)


LARGE_PRODUCTS = [(200, 3072, 100), (100, 200, 3072), (25, 3072, 101), (1000, 64, 100)]
LIBRARIES = ["mkl", "onednn", "torch"]
"""What the processors choose from; all of them run on any x86."""


@pytest.fixture
def library(request, monkeypatch):
    """The one that another processor would choose."""
    monkeypatch.setattr(processor, "library", lambda: request.param)
    products.AtOnce._check_bits.cache_clear()
    yield request.param
    products.AtOnce._check_bits.cache_clear()


PAIRS = [
    (*shape, threads, torch.float64 if (place + turn) % 2 else torch.float32, library)
    for place, shape in enumerate(LARGE_PRODUCTS)
    for turn, threads in enumerate((1, 2, 3, 8))
    for library in LIBRARIES
]
"""Each shape with each number of threads by each library; both types."""


@pytest.mark.parametrize("n, i, m, threads, dtype, library", PAIRS, indirect=["library"])
def test_large_products(library, n, i, m, threads, dtype):
    torch.set_num_threads(threads)
    source = torch.Generator().manual_seed(n)
    a, b = (torch.randn(3, *shape, generator=source, dtype=dtype) for shape in ((n, i), (i, m)))
    stacked = product(a, b)
    for k in range(3):
        assert torch.equal(product(a[k].clone(), b[k].clone()), stacked[k])
    shared = product(a[:1], b)
    assert torch.equal(shared[0], stacked[0])
    other_layout = b.mT.contiguous().mT
    for k, other in enumerate(product(a[:1], other_layout)):
        assert torch.equal(product(a[0], other_layout[k]), other)
    assert torch.equal(product(a[0], b[2]), shared[2])
    expected = (a[0].double() @ b[0].double()).to(dtype)
    torch.testing.assert_close(stacked[0], expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_large_sums(threads):
    torch.set_num_threads(threads)
    source = torch.Generator().manual_seed(163434)
    assert_same(lambda a: (total(a, -1), total(a, -2)), torch.randn(33, 249, 36, generator=source))


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize("inner", [47, 48, 64, 100, 256, 300])
@pytest.mark.parametrize("library", ["mkl", "onednn"], indirect=True)
def test_a_shared_factor_is_multiplied_at_once_where_the_bits_allow_it(
    monkeypatch, inner, trust, library
):
    source = torch.Generator().manual_seed(inner)
    a = torch.randn(1, 100, inner, generator=source)
    b = torch.randn(33, 100, inner, generator=source).mT
    alone = torch.stack([product(a[0], matrix) for matrix in b])
    tried = inner < arithmetic.SKINNY or products.AtOnce.same_bits(b.mT, a[0], False)
    if trust:  # unseen, it would be wrong wherever it was refused
        monkeypatch.setattr(products.AtOnce, "same_bits", lambda *_: True)
    assert torch.equal(product(a, b), alone) is (tried or not trust)


@pytest.mark.parametrize("n", [32_768, 32_769, 40_001])
def test_long_sums(n):
    torch.set_num_threads(2)
    values = Draw(n, torch.float32).stack(n)[:5]
    alone = total(values[:1], -1)
    assert torch.equal(alone, total(values, -1)[:1])
    torch.testing.assert_close(alone, values[:1].double().sum(-1).float())


@pytest.mark.parametrize("activation", HIDDEN)
def test_layers(examples, activation):
    few = examples if activation == "relu" else settings(examples, max_examples=8)

    @check(few, n=SIZES, i=SIZES, o=SIZES, dtype=DTYPES, threads=THREADS, seed=SEEDS)
    def body(n, i, o, dtype, threads, seed):
        torch.set_num_threads(threads)
        draw = Draw(seed, dtype)
        x, w, b, dout = draw.stack(n, i), draw.stack(i, o), draw.stack(o), draw.stack(n, o)

        def there_and_back(w, b, dout, x):
            out, cache = HIDDEN[activation].forward(x, w, b)
            return out, *HIDDEN[activation].backward(dout, cache)

        assert_same(there_and_back, w, b, dout, shared=(x[:1],))
        assert_same(lambda w, b, dout, x: there_and_back(w, b, dout, x), w, b, dout, x)
        assert_same(lambda x, w, b: Linear.forward(x, w, b)[0], x, w, b)
        seeds = [(seed, trial) for trial in range(len(x))]

        def drop(x, w):  # each trial by its own seed
            place = [int(k) for k in w.flatten()]
            param = {"mode": "train", "p": 0.3, "seed": [seeds[k] for k in place]}
            return Dropout.forward(x, param)[0]

        assert_same(drop, x, torch.arange(len(x)))


@pytest.mark.parametrize("mode", ["train", "test"])
@pytest.mark.parametrize("name", ["batch", "layer"])
def test_normalizations(examples, name, mode):
    norm, few = NORMALIZATIONS[name], settings(examples, max_examples=examples.max_examples // 5)

    @check(few, n=SIZES, h=SIZES, dtype=DTYPES, threads=THREADS, seed=SEEDS)
    def body(n, h, dtype, threads, seed):
        torch.set_num_threads(threads)
        draw = Draw(seed, dtype)
        x, dout = draw.stack(h, n).mT, draw.stack(h, n).mT
        gamma, beta, mean, std = (draw.stack(h) for _ in range(4))

        def there_and_back(x, dout, gamma, beta, mean, std):
            average = {"running_mean": mean.clone(), "running_var": std * std}
            out, cache = norm.forward(x, gamma, beta, {"mode": mode, **average})
            return out, *average.values(), *norm.backward(dout, cache)

        assert_same(there_and_back, x, dout, gamma, beta, mean, std)


@pytest.mark.parametrize("loss", [mse_loss, huber_loss])
def test_losses_of_numbers(examples, loss):
    few = settings(examples, max_examples=8)

    @check(few, n=SIZES, c=st.integers(1, 20), dtype=DTYPES, threads=THREADS, seed=SEEDS)
    def body(n, c, dtype, threads, seed):
        torch.set_num_threads(threads)
        draw = Draw(seed, dtype)
        scores, y = draw.stack(c, n).mT, draw.stack(n, c)
        assert_same(lambda s: loss(s, y[0]), scores)
        assert_same(loss, scores, y)


@pytest.mark.parametrize("loss", [softmax_loss, svm_loss])
def test_losses(examples, loss):
    @check(examples, n=SIZES, c=st.integers(2, 20), dtype=DTYPES, threads=THREADS, seed=SEEDS)
    def body(n, c, dtype, threads, seed):
        torch.set_num_threads(threads)
        draw = Draw(seed, dtype)
        scores, y = draw.stack(c, n).mT * 10, torch.arange(n) % c
        assert_same(lambda s: loss(s, y), scores)
        assert_same(lambda s: loss(s.contiguous(), y), scores)
        assert_same(lambda s: loss(s.mT.contiguous().mT, y), scores)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_rules(examples, rule):
    @check(examples, p=SIZES, dtype=DTYPES, threads=THREADS, seed=SEEDS)
    def body(p, dtype, threads, seed):
        torch.set_num_threads(threads)
        draw = Draw(seed, dtype)
        w, dw, next_dw = draw.stack(p), draw.stack(p), draw.stack(p)
        k = len(w)
        constants = {
            name: value * torch.linspace(0.5, 1, k, dtype=torch.float64)
            for name, value in rule.constants.items()
        }

        def three_steps(w, dw, next_dw, *values):
            config = dict(zip(constants, values, strict=True))
            for gradient in (dw, next_dw, dw):
                w, config = rule(w, gradient, config)
            return w

        assert_same(three_steps, w, dw, next_dw, *constants.values())


PARTS = st.fixed_dictionaries(
    {
        "schedules": st.booleans(),
        "clips": st.booleans(),
        "initializations": st.booleans(),
        "smooths": st.booleans(),
        "drops_inputs": st.booleans(),
        "weighs": st.booleans(),
        "activation": st.sampled_from([*HIDDEN]),
        "normalization": st.sampled_from([*NORMALIZATIONS]),
    }
)
"""Which parts the nets of a stack have, each trial with a value of its own."""


def assert_equal(part, whole):
    """Bit for bit; a trial that diverges has NaN in both."""
    torch.testing.assert_close(part, whole, rtol=0, atol=0, equal_nan=True)


def solved(trials: list[int], *, dims, rule, batch, dtype, own_seeds, parts):
    """A Solver after two epochs on trials of a fixed list, each with constants of its own.

    The learning rates are low: a lone trial that diverges stops, a stack goes on with the others.
    """
    hidden, inputs, rows = dims
    source = torch.Generator().manual_seed(7)
    X = torch.randn(rows, inputs, generator=source, dtype=dtype)
    y = torch.randint(0, 10, (rows,), generator=source)
    seeds = [100 + k if own_seeds else 100 for k in trials]
    each = torch.tensor(trials, dtype=torch.float64)
    net = FullyConnectedNet(
        hidden,
        inputs,
        10,
        weight_scale=0.02 + 0.005 * each,
        reg=0.01 * each,
        dropout=0.02 * each,
        input_dropout=0.03 * each if parts["drops_inputs"] else 0.0,
        activation=parts["activation"],
        normalization=parts["normalization"],
        label_smoothing=0.02 * each if parts["smooths"] else 0.0,
        class_weights=1 + each[:, None] % 3 * torch.arange(10) if parts["weighs"] else None,
        initialization=[(None, "kaiming", "xavier")[k % 3] for k in trials]
        if parts["initializations"]
        else None,
        seed=seeds,
        dtype=dtype,
    )
    solver = Solver(
        net,
        {"X_train": X, "y_train": y, "X_val": X, "y_val": y},
        update_rule=rule,
        optim_config={"learning_rate": 1e-3 + 1e-4 * each},
        lr_decay=1 - 0.01 * each,
        schedule=[SCHEDULES[k % 3] for k in trials] if parts["schedules"] else "step",
        warmup=[k % 2 for k in trials] if parts["schedules"] else 0,
        clip_norm=0.1 + 0.1 * each if parts["clips"] else None,
        num_epochs=2,
        batch_size=min(batch, rows),
        seed=seeds,
        verbose=False,
    )
    val_losses = [epoch.val_loss for epoch in solver.epochs()]
    losses = torch.tensor(solver.loss_history)
    return net.params, solver.best_params, losses, solver.val_acc_history + val_losses


def test_nets_and_solver(examples):
    few = settings(examples, max_examples=max(5, examples.max_examples // 8))

    @check(
        few,
        hidden=st.lists(SIZES, min_size=1, max_size=3),
        inputs=SIZES,
        rows=SIZES,
        batch=SIZES,
        rule=st.sampled_from([*RULES]),
        dtype=DTYPES,
        threads=THREADS,
        own_seeds=st.booleans(),
        parts=PARTS,
    )
    def body(hidden, inputs, rows, batch, rule, dtype, threads, own_seeds, parts):
        torch.set_num_threads(threads)
        given = {
            "dims": (hidden, inputs, rows),
            "rule": rule,
            "batch": batch,
            "dtype": dtype,
            "own_seeds": own_seeds,
            "parts": parts,
        }
        whole = solved(list(range(33)), **given)
        for trials in ([0], [32], [4, 9], [3, 17, 8, 30, 31]):
            params, best, losses, evaluated = solved(trials, **given)
            assert_equal(losses, whole[2][: len(losses), trials])
            assert whole[2][len(losses) :, trials].isnan().all()  # all of them have diverged
            for name in params:
                assert_equal(params[name], whole[0][name][trials])
                assert_equal(best[name], whole[1][name][trials])
            for part, all_trials in zip(evaluated, whole[3], strict=True):
                assert part == [all_trials[k] for k in trials]


def test_the_check_catches_a_difference():
    values = Draw(0, torch.float32).stack(300)
    with pytest.raises(AssertionError, match="differ"):
        assert_same(lambda v: v.mean(-1) + len(v) * 1e-6, values)
