"""``rbgctrl validate``: manifests judged without a cluster."""
