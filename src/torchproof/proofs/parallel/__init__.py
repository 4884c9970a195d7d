"""Other processes of a training: the workers of a loader and data-parallel replicas."""
