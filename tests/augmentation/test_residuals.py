"""Noise of new samples keeps lengths, distances and the correlations of genes."""

import numpy as np
import pytest

from expressome.augmentation.residuals import balance_noise, draw_mixture

N_SAMPLES, N_GENES = 40, 30


@pytest.fixture
def real(rng):
    loads = rng.normal(size=(5, N_GENES))
    values = rng.normal(size=(N_SAMPLES, 5)) @ loads + 0.5 * rng.normal(size=(N_SAMPLES, N_GENES))
    return values.astype(np.float32)


def draw(real, rng, *, gap=20.0, alone=()):
    gram = real @ real.T
    is_alone = np.isin(np.arange(len(real)), alone)
    gaps = np.full(len(real), gap, np.float32)
    return draw_mixture(gram, np.diagonal(gram), gram, gaps=gaps, is_alone=is_alone, rng=rng)


def centre(mixture, real):
    """New samples without noise."""
    means = mixture.spread(mixture.centres(), len(real)) @ real
    return mixture.shares[:, None] * real + means


def balance(mixture, real):
    known = centre(mixture, real)
    weights = balance_noise(mixture, known=known, target=real, residuals=real)
    return mixture.spread(weights, len(real)) @ real


def test_second_moments_come_nearer_to_the_real_ones(real, rng):
    mixture = draw(real, rng)
    drawn = mixture.spread(mixture.noise, len(real)) @ real
    spread = real.std(axis=0)

    def apart(noise):
        made = (centre(mixture, real) + noise) / spread
        wanted = (real - real.mean(axis=0)) / spread
        return np.linalg.norm(made.T @ made - wanted.T @ wanted)

    assert apart(balance(mixture, real)) < 0.7 * apart(drawn)


def test_noise_keeps_its_length_and_the_distance_from_the_base(real, rng):
    mixture = draw(real, rng)
    drawn = mixture.spread(mixture.noise, len(real)) @ real
    apart = centre(mixture, real) - real

    noise = balance(mixture, real)

    np.testing.assert_allclose(
        np.linalg.norm(noise, axis=1), np.linalg.norm(drawn, axis=1), rtol=1e-3
    )
    along = (noise * apart).sum(axis=1) / np.linalg.norm(noise, axis=1)
    np.testing.assert_allclose(along / np.linalg.norm(apart, axis=1), 0, atol=1e-3)


def test_new_samples_lie_as_far_from_their_bases_as_asked(real, rng):
    mixture = draw(real, rng, gap=8.0)

    made = centre(mixture, real) + balance(mixture, real)

    reached = ((made - real) ** 2).sum(axis=1)
    assert np.median(reached) == pytest.approx(8, rel=0.25)


def test_a_base_alone_in_its_group_has_no_residual_to_keep(real, rng):
    mixture = draw(real, rng, alone=[3])

    assert mixture.shares[3] == 0
    assert (np.delete(mixture.shares, 3) > 0).all()


@pytest.mark.parametrize("n_real", [1, 2, 3])
def test_few_real_residuals_give_finite_noise(n_real, real, rng):
    few = real[:n_real]

    noise = balance(draw(few, rng), few)

    assert np.isfinite(noise).all()
    assert (np.abs(noise).max(axis=1) > 0).all() == (n_real > 1)


def test_equal_residuals_give_no_noise(rng):
    same = np.ones((4, 6), dtype=np.float32)

    noise = balance(draw(same, rng), same)

    assert np.isfinite(noise).all()
    np.testing.assert_allclose(noise, 0, atol=1e-5)


def test_genes_that_hardly_vary_do_not_decide(real, rng):
    # In units of its spread, a gene that is all but constant would drown all others.
    mixture = draw(real, rng)
    target = real.copy()
    target[:, 0] = 3 + 1e-6 * rng.normal(size=N_SAMPLES)
    without = real.copy()
    without[:, 0] = 0
    known = centre(mixture, real)

    weights = balance_noise(mixture, known=known, target=target, residuals=real)

    expected = balance_noise(
        mixture, known=known * (np.arange(N_GENES) > 0), target=without, residuals=without
    )
    np.testing.assert_allclose(weights, expected, atol=1e-5)
