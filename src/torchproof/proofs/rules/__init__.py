"""One file a rule. `torchproof.proofs.rule` finds every module in this package and registers it."""
