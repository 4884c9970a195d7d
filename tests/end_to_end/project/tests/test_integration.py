import pytest
from moons import load, make_model, make_optimizer, training_step


@pytest.mark.integration
def test_quality(proof):
    points, labels = load()
    model = make_model()
    optimizer = make_optimizer(model)
    for _ in range(60):
        training_step(model, optimizer, {"x": points, "y": labels})
    accuracy = (model(points).argmax(1) == labels).float().mean().item()
    proof.metric("train/accuracy", accuracy, better="higher", unit="ratio", tolerance=0.05)
