"""What one pytest session was asked for: settings, seed, tier, device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from torchproof import settings
from torchproof.errors import UsageError
from torchproof.testing import machine, tiers


if TYPE_CHECKING:
    from torchproof.settings import Settings, Tier


@dataclass(frozen=True)
class Session:
    """The answers to the options and the configuration, fixed before a test is collected."""

    settings: Settings
    seed: int
    tier: Optional[Tier]
    torch: str
    device: str
    update: bool = False
    fingerprint: bool = False

    @property
    def tier_name(self) -> str:
        """Name of the tier as the record has it."""
        from torchproof.record import NO_TIER

        return self.tier.name if self.tier else NO_TIER

    @property
    def deterministic(self) -> bool:
        """True where torch's deterministic algorithms are to be on: a tier that runs on a CPU."""
        on_cpu = self.tier is not None and (not self.tier.gpu or self.device == "cpu")
        return on_cpu and self.settings.deterministic

    def header(self) -> str:
        """Return the line that pytest shows at its start."""
        tier = f", tier {self.tier.name}" if self.tier else ""
        return f"torchproof: seed {self.seed}, {self.device}, torch {self.torch}{tier}"


def prepare(options: Any, root: Path) -> Session:
    """Read the configuration and answer the options.

    Args:
        options: pytest's namespace of options.
        root: pytest's rootdir.

    Raises:
        TorchproofError: The configuration or the seed is wrong, or there is no such tier.
    """
    file = Path(options.torchproof_config) if options.torchproof_config else None
    found = settings.load(root, file)
    seed = options.torchproof_seed
    if seed is not None and seed < 0:
        raise UsageError(f"the seed is {seed}", "Give 0 or more.", where="--torchproof-seed")
    torch = machine.version("torch")
    return Session(
        settings=found,
        seed=found.seed if seed is None else seed,
        tier=tiers.find(options.torchproof_tier, found.tiers),
        torch=torch,
        device="cpu" if options.torchproof_fingerprint else machine.device(torch),
        update=options.torchproof_update,
        fingerprint=options.torchproof_fingerprint,
    )
