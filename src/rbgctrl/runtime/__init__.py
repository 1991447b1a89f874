"""The I/O shell: queue, controller, executor, leader election, events, metrics, probes, manager."""
