"""Tools of the checkout: the real control plane, generators, harnesses. No product logic, never installed."""
