"""The stages in a row: the only place that knows all rooms."""

from torchproof.stages.act import Answer, act
from torchproof.stages.case import Console, Outside


__all__ = ["Answer", "Console", "Outside", "act"]
