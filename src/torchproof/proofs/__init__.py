"""Rules about training code, and the instruments that judge them.

=======================  ==================================================================
`trainee`, `batches`     what is looked at: model, the project's own step, one batch and its parts
`prove`, `bench`         every rule on one trainee; all that the rules of one proof share
`rule`, `rules`          the registry; one file a rule
`labels`                 which labels act on which predictions
`sequences`              positions in rows: causality, padding, token by token
`parameters`             what becomes of parameters: held, reached, updated, forgotten
`parallel`               the workers of a loader, the replicas of data-parallel training
`prediction`             other inputs, other rows, twice, in float64: what a prediction shows
`step`                   one use of the user's step, and all that can be seen while it runs
`process`                random state, switches and stack, borrowed and given back
`tensors`                bits, nested batches, autograd graphs
`overfit`                one batch, many steps; `progress` shows how many
`trajectory`             the first steps to the bit: whether a change touched training
`weights`                constant weights, so that outputs can be worked out by hand
=======================  ==================================================================

A package of the table asks nothing of one above it but for what is shared: `trainee`, `rule` and
`finding` know no other, and a `bench` knows what stands below `prediction`. Everything here runs in
the user's environment: standard library and torch, Python 3.9 and later.
"""
