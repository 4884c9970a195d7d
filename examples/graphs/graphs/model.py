"""The network: each node sums what its neighbours say, twice."""

from jaxtyping import Float
from torch import Tensor, nn


class Layer(nn.Module):
    """A node's own state and the sum of its neighbours', each through a matrix of its own."""

    def __init__(self, features: int, width: int):
        super().__init__()
        self.own, self.others = nn.Linear(features, width), nn.Linear(features, width, bias=False)

    def forward(
        self, x: Float[Tensor, "batch nodes features"], edges: Float[Tensor, "batch nodes nodes"]
    ) -> Float[Tensor, "batch nodes width"]:
        return (self.own(x) + edges @ self.others(x)).relu()


class GraphNet(nn.Module):
    """Maps node features (N, nodes, 1) and edges (N, nodes, nodes) to logits (N, nodes, 2)."""

    def __init__(self, width: int = 16):
        super().__init__()
        self.first, self.second = Layer(1, width), Layer(width, width)
        self.head = nn.Linear(width, 2)

    def forward(
        self, x: Float[Tensor, "batch nodes 1"], edges: Float[Tensor, "batch nodes nodes"]
    ) -> Float[Tensor, "batch nodes 2"]:
        return self.head(self.second(self.first(x, edges), edges))
