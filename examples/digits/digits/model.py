"""The network: two convolutions with batch norm, then one linear layer."""

import torch
from torch import nn


class DigitNet(nn.Module):
    """Maps images (N, 1, 8, 8) to logits (N, 10)."""

    def __init__(self, width: int = 16, dropout: float = 0.1):
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(2 * width)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * width * 2 * 2, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.max_pool2d(self.norm1(self.conv1(x)).relu(), 2)
        x = nn.functional.max_pool2d(self.norm2(self.conv2(x)).relu(), 2)
        return self.head(self.dropout(x.flatten(1)))
