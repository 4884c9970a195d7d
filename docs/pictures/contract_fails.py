import torch
import torchproof
from torch import nn


class Encoder(nn.Module):
    def __init__(self, act):
        super().__init__()
        self.grow, self.act, self.shrink = nn.Linear(8, 32), act, nn.Linear(32, 4)

    def forward(self, x):
        return self.shrink(self.act(self.grow(x)))


def test_the_encoder_is_the_one_that_was_agreed_on(proof, tmp_path):
    example = torch.zeros(2, 8)
    agreed = tmp_path / "encoder.arch.json"
    agreed.write_text(torchproof.architecture(Encoder(nn.ReLU()), example).to_json())
    proof.architecture(Encoder(nn.LeakyReLU()), example, name="encoder", lock=agreed)
