"""Pure decisions: a snapshot of the graph in, a :class:`~rbgctrl.plan.model.Plan` out."""
