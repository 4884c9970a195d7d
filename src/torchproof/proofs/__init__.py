"""Rules about training code, and the instruments that judge them.

=================  ================================================================
`trainee`          what is looked at: model, one batch, the project's own step
`trial`, `bench`   one isolated use of a fresh trainee; all that one proof shares
`observe`          what the step did: operations, backward passes, optimizer steps
`optimizers`       when optimizers are built and step; the place for interventions
`events`           what came in which order: backward, clipping, updates, schedules
`updates`          what each update did to each parameter
`spent_gradients`  what is written to gradients behind their update
`loss_calls`       what a loss function was given: logits, probabilities, logarithms
`traced`           what each module got and returned: where two predictions part
`fingerprints`     every operation's digest: where two runs part
`promoted`         the step once more in float64
`trail`            one row's way through the operations, to point at a line
`loaders`          what the worker processes of a loader bring; `generators` they draw from
`replicas`         what another replica of data-parallel training would hold
`rule`, `rules`    the registry; one file a rule
`prove`            every rule on one trainee
`overfit`          one batch, many steps; `progress` shows how many
`trajectory`       the first steps to the bit: whether a change touched training
=================  ================================================================

Everything here runs in the user's environment: standard library and torch, Python 3.9 and later.
"""
