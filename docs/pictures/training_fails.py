import torch
import torchproof
from torch import nn
from torch.nn import functional as F


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(50, 16)
        self.mix = nn.Linear(16, 16)
        self.head = nn.Linear(16, 5)

    def forward(self, tokens, mask):
        hidden = self.embed(tokens)
        context = hidden.mean(1, keepdim=True)
        return self.head(torch.tanh(self.mix(hidden) + context))


def build():
    model = Tagger()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    tokens = torch.randint(1, 50, (8, 12))
    mask = torch.arange(12) < torch.randint(4, 12, (8, 1))
    batch = {"tokens": tokens * mask, "attention_mask": mask.long(), "y": tokens % 5}

    def step(batch):
        logits = model(batch["tokens"], batch["attention_mask"])
        loss = F.cross_entropy(logits.flatten(0, 1), batch["y"].flatten())
        loss.backward()
        optimizer.step()
        return loss

    return torchproof.Trainee(model, batch, step)


def test_training_step(proof):
    proof(build)
