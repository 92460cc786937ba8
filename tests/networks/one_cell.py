"""A layer for tests of maps."""

import torch


class OneCell(torch.nn.Module):
    """Maps that are 1 in one cell."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, y):
        y = torch.zeros_like(y)
        y[:, :, self.cell[0], self.cell[1]] = 1
        return y
