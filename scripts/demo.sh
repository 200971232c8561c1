#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# make demo: boots virtual machines that have no accelerator and runs in them the distribution's own clinfo, and the
# training of a small network twice: by an OpenCL program and by a CUDA program. OpenCL is what the host has, PoCL if
# nothing else; CUDA is the host's NVIDIA GPU or, where there is none, Wormhole's software device.
# Installs what is missing on Debian 12. Needs no CUDA toolkit and no KVM.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

say "Packages"
scripts/install-deps.sh demo

say "Building"
make build

say "The host's devices"
clinfo -l
build/bin/wormhole doctor | grep -E '^(ok|warn|no) +cuda ' || true

say "A virtual machine without Wormhole: no device"
build/bin/wormhole vm --no-server -- clinfo -l || true

say "The same machine with Wormhole: the unmodified clinfo sees the host's OpenCL device"
build/bin/wormhole vm -- clinfo -l

say "OpenCL: LeNet trains in the virtual machine, on the host's device"
build/bin/wormhole vm -- build/bin/lenet

say "CUDA: LeNet trains in the virtual machine; the machine has no driver, its device is the host's"
build/bin/wormhole vm -- build/bin/cuda-lenet --quick

say "Done: programs of two accelerator APIs ran in virtual machines that have neither device nor driver."
echo "Go on with: build/bin/wormhole run -- CMD, build/bin/wormhole vm -- CMD, build/bin/wormhole doctor; README.md"
