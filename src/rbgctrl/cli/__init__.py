"""The command line: ``rbgctrl run``, ``tree``, ``demo``, ``version``."""
