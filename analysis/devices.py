"""Where probes and networks run: the ground floor's rule, with what torch finds here."""

import torch

from warehouse.devices import device_called


def choose_device(asked: str = "auto") -> str:
    """The device meant by `asked`; UsageError for one that is unknown or not there."""
    return device_called(
        asked, cuda=torch.cuda.is_available(), mps=torch.backends.mps.is_available()
    )
