# SPDX-License-Identifier: Apache-2.0
#
# A thin front for meson: everything real is in the meson.build files and in scripts/.

BUILD := build/obj

.PHONY: all build deps demo test bench fuzz soak exitless-test check-format format clean

all: build

$(BUILD)/build.ninja:
	meson setup $(BUILD) --prefix=$(CURDIR)/build --libdir=lib >/dev/null

build: $(BUILD)/build.ninja
	ninja -C $(BUILD)
	meson install -C $(BUILD) --only-changed --quiet

deps:
	scripts/install-deps.sh build

demo:
	scripts/demo.sh

test:
	scripts/test.sh

bench:
	scripts/bench.sh

fuzz:
	scripts/fuzz.sh

soak:
	scripts/soak.sh

exitless-test:
	scripts/exitless-test.sh

check-format:
	scripts/check-format.sh

format:
	scripts/check-format.sh --fix

clean:
	rm -rf build
