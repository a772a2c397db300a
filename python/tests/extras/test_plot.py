"""The plots of crosstate.plot show what they are given."""

import inspect
import json

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

import crosstate  # noqa: E402
from crosstate import dynamics, plot  # noqa: E402

pytestmark = pytest.mark.extras


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def trained():
    random = np.random.default_rng(0)
    y = np.arange(64) % 2
    x = np.sin((0.3 + 1.2 * y[:, None]) * np.arange(24)) + random.normal(0, 0.2, (64, 24))
    model = crosstate.Model(channels=4, states=4, layers=2)
    model.fit(x, y, epochs=3, batch=16, progress=False, threads=1)
    return model, model.quantize(x, y, preset="w8a8s8", progress=False, threads=1), x, y


def drawn(ax):
    """The curves of an axes as (label, x, y)."""
    return {line.get_label(): (np.asarray(line.get_xdata()), np.asarray(line.get_ydata()))
            for line in ax.get_lines()}


def test_learning_curves_of_a_model_and_of_a_summary(trained, tmp_path):
    model = trained[0]
    curves = drawn(plot.learning_curves(model))
    assert curves["train"][0].tolist() == [1, 2, 3]
    expected = [100 * epoch["train_accuracy"] for epoch in model.history]
    assert np.allclose(curves["train"][1], expected)
    loss = drawn(plot.learning_curves(model.history, "loss"))
    assert np.allclose(loss["train"][1], [epoch["train_loss"] for epoch in model.history])

    summary = {"float": {"history": model.history}, "qat": {"history": model.history[:2]}}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    stages = drawn(plot.learning_curves(tmp_path / "summary.json"))
    assert stages["qat, train"][0].tolist() == [4, 5]
    with pytest.raises(ValueError, match="no epochs"):
        plot.learning_curves([])
    with pytest.raises(ValueError, match="no 'train_r2' in a record, it has epoch"):
        plot.learning_curves(model.history, "r2")


def test_against_age_draws_mean_deviation_and_worst():
    records = [{"chip": c, "seconds": s, "accuracy": a}
               for s, values in ((0.0, (0.9, 0.7)), (3600.0, (0.8, 0.5)))
               for c, a in enumerate(values)]
    ax = plot.against_age(records, label="pcm")
    curves = drawn(ax)
    assert np.allclose(curves["pcm, worst chip"][1], [70, 50])
    mean = ax.containers[0].lines[0]
    assert np.allclose(mean.get_ydata(), [80, 65])
    assert ax.get_ylabel() == "accuracy (%)"
    result = {"ages": [{"seconds_since_programming": 0.0, "rmse": [2.0, 3.0], "rmse_mean": 2.5}]}
    other = plot.against_age(result)
    assert other.get_ylabel() == "rmse"
    assert other.containers[0].lines[0].get_ydata().tolist() == [2.5]
    with pytest.raises(ValueError, match="no chips"):
        plot.against_age([])
    with pytest.raises(ValueError, match="no 'seconds' in a record"):
        plot.against_age([{"chip": 0, "accuracy": 0.5}])


def test_against_noise_of_records_and_of_a_summary():
    records = [{"noise": n, "accuracy": a} for n, a in ((0.0, 1.0), (0.1, 0.8), (0.1, 0.6))]
    line = plot.against_noise(records).containers[0].lines[0]
    assert np.allclose(line.get_xdata(), [0, 10]) and np.allclose(line.get_ydata(), [100, 70])
    point = {"accuracy_mean": 0.5, "accuracy_std": 0.1}
    sweep = {"crossbar": {"sweep": [{"noise": 0.2, "ptq": point, "qat": point}]}}
    assert len(plot.against_noise(sweep).containers) == 2
    with pytest.raises(ValueError, match="run.crossbar = true"):
        plot.against_noise({"float": {}})


def test_front_has_the_points_that_no_other_beats():
    points = [{"bytes": b, "accuracy": a} for b, a in
              ((100, 0.5), (100, 0.6), (200, 0.55), (300, 0.9), (400, 0.9), (500, None))]
    curve = drawn(plot.front(points))["front"]
    assert curve[0].tolist() == [100, 300]
    assert np.allclose(curve[1], [60, 90])
    with pytest.raises(ValueError, match="no point has both 'bytes' and 'f1'"):
        plot.front(points, y="f1")


def test_arrays_and_energy_of_a_model(trained):
    small = trained[1]
    mapped = crosstate.map_model(small, length=24)
    figure = plot.arrays(mapped)
    assert len(figure.axes) == len(mapped["arrays"])
    recurrence = next(a for a in mapped["arrays"] if a["site"] == "recurrence")
    place = mapped["arrays"].index(recurrence)
    assert len(figure.axes[place].patches) == 3 * len(recurrence["pieces"])

    costs = [crosstate.cost(small, steps=24, target=t) for t in ("accelerator-45nm", "mcu-int8")]
    ax = plot.energy(costs)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["accelerator-45nm", "mcu-int8"]
    for number, cost in enumerate(costs):
        parts = [bars[number].get_height() for bars in ax.containers
                 if hasattr(bars, "patches")]
        assert sum(parts) == pytest.approx(
            cost["estimate"]["energy_pj"]["per_inference"]["typical"] / 1e6)
    with pytest.raises(ValueError, match="no costs"):
        plot.energy([])


def test_rate(trained):
    small = trained[1]
    cost = crosstate.cost(small, steps=24, target="crossbar-32nm", same_node=True)
    ax = plot.rate(cost)
    assert len(ax.get_legend_handles_labels()[1]) == 3
    with pytest.raises(ValueError, match="same_node"):
        plot.rate(crosstate.cost(small, steps=24, target="crossbar-32nm"))


@pytest.mark.parametrize("name", plot.__all__)
def test_what_cannot_be_drawn_is_one_error(name):
    draw = getattr(plot, name)
    for wrong in (object(), 5, [object()], [5], ["a", 1j], {"a": 1}):
        if name in ("poles", "states") and wrong in (5, [5]):
            continue  # a pole, a state
        with pytest.raises(ValueError) as caught:
            draw(wrong)
        assert "\n" not in str(caught.value)
    for more in ({"ax": 5}, {"metric": 5}, {"label": 5}, {"x": 5}, {"labels": 5}, {"across": "6"}):
        (argument,) = more
        if argument in inspect.signature(draw).parameters:
            with pytest.raises(crosstate.Error, match=f"^{argument} = "):
                draw({} if name == "rate" else [], **more)


def test_poles_before_and_after_rounding(trained):
    model, small, _, _ = trained
    before, after = dynamics.poles(small), dynamics.poles(small, rounded=True)
    assert [layer.shape for layer in before] == [(4, 2), (4, 2)]
    for exact, rounded in zip(before, after):
        assert (np.abs(exact) < 1).all() and (np.abs(rounded) < 1).all()
        assert 0 < np.abs(exact - rounded).max() < 0.1
        # In fixed point with 14 fraction bits, exactly.
        assert np.array_equal(rounded * 2**14, np.round(rounded * 2**14))
    curves = drawn(plot.poles(before, after))
    assert len(curves["layer 1"][0]) == len(curves["layer 1, rounded"][0]) == 8
    assert len(drawn(plot.poles(before[0]))["poles"][0]) == 8
    with pytest.raises(ValueError, match="float network"):
        dynamics.poles(model, rounded=True)
    with pytest.raises(ValueError, match="2 layers before rounding, 1 after"):
        plot.poles(before, after[:1])
    with pytest.raises(ValueError, match="is an integer network"):
        dynamics.poles(small.to_integers())


def test_states_follow_the_recurrence(trained):
    model, _, x, _ = trained
    found = dynamics.states(model, x[0])
    assert found.shape == (24, 4, 2)
    # x_k = A x_(k-1) + u_k: what A does not explain is the same input for all modes of a channel.
    a = dynamics.poles(model)[0]
    u = found - a * np.concatenate([np.zeros((1, 4, 2)), found[:-1]])
    assert np.allclose(u[..., 0], u[..., 1]) and np.allclose(u.imag, 0)
    assert np.ptp(u.real) > 0
    assert dynamics.states(model, x[0], layer=1).shape == (24, 4, 2)
    curves = drawn(plot.states(found[:, 0]))
    assert np.allclose(curves["mode 1"][1], found[:, 0, 1].real)
    assert list(drawn(plot.states(found[:, 0].real, labels=["a", "b"]))) == ["a", "b"]
    for args, says in (((x[0], 2), "layer = 2, expected 0 to 1"),
                       ((np.zeros((5, 3)), 0), "3 channels, expected 1")):
        with pytest.raises(ValueError, match=says):
            dynamics.states(model, args[0], layer=args[1])
