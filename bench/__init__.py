"""What rbgctrl costs: requests, memory and CPU, measured on this machine. Run it with ``python -m bench``."""
