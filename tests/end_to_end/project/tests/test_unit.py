from moons import load, make_model


def test_training_step(proof, build):
    proof(build)


def test_points_become_two_logits():
    points, _ = load()
    assert make_model()(points).shape == (64, 2)
