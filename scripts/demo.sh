#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# make demo: boots a virtual machine that has no accelerator and runs the distribution's own clinfo and a LeNet
# training in it; both work on the host's OpenCL device. Installs what is missing on Debian 12.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

say "Packages"
scripts/install-deps.sh demo

say "Building"
make build

say "The host's OpenCL devices"
clinfo -l

say "A virtual machine without Wormhole: no device"
build/bin/wormhole vm --no-server -- clinfo -l || true

say "The same machine with Wormhole: the unmodified clinfo sees the host's device"
build/bin/wormhole vm -- clinfo -l

say "LeNet trains in the virtual machine, on the host's device"
build/bin/wormhole vm -- build/bin/lenet

say "Done: try 'build/bin/wormhole run -- CMD', 'build/bin/wormhole vm -- CMD' and 'build/bin/wormhole doctor'"
