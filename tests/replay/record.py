#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# record.py lenet|resnet18 [STEPS]: training steps of a small network on PyTorch, to be recorded on a machine with a GPU:
#
#     wormhole run --trace=lenet.txt -- python3 tests/replay/record.py lenet && gzip -9n lenet.txt
#
# Each step stands between cudaProfilerStart and cudaProfilerStop, which are calls of the driver too, so that a player
# of the trace finds it. Inputs are noise. In the recordings of this folder, the UUID of the device is left out. Not run by
# any test.
import gc
import sys

import torch
from torch import nn


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


class Block(nn.Module):
    """Two convolutions and a way around them."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))
        self.around = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.around = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        return torch.relu(self.body(x) + self.around(x))


def resnet18():
    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for outputs in (64, 128, 256, 512):
        layers += [Block(inputs, outputs, 1 if outputs == 64 else 2), Block(outputs, outputs, 1)]
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def train(network, shape, steps):
    network = network.cuda()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    inputs = torch.randn(shape).pin_memory()
    wanted = (torch.arange(shape[0]) % 10).pin_memory()
    torch.cuda.synchronize()
    for _ in range(steps):
        torch.cuda.cudart().cudaProfilerStart()
        optimiser.zero_grad()
        outputs = network(inputs.cuda(non_blocking=True))
        loss = nn.functional.cross_entropy(outputs, wanted.cuda(non_blocking=True))
        loss.backward()
        optimiser.step()
        print(loss.item())
        torch.cuda.cudart().cudaProfilerStop()


def main():
    torch.manual_seed(1)
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    if sys.argv[1] == "lenet":
        train(lenet(), (16, 1, 28, 28), steps)
    else:
        train(resnet18(), (2, 3, 64, 64), steps)
    gc.collect()
    torch.cuda.synchronize()
    torch.cuda.empty_cache()


main()
