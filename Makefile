# What a person does with Meltwatch. `make` alone lists it.
SHELL := /bin/bash
TF := $(CURDIR)/.deps/libtensorflow
# The TensorFlow binding links itself while it compiles, so paths come by environment.
# Programs look for the library where a package puts it, beside their own folder, and
# where it lies in this tree: never at a path of the machine they were built on.
export CGO_CFLAGS := -I$(TF)/include
export CGO_LDFLAGS := -L$(TF)/lib -Wl,-rpath,$$ORIGIN/../lib/meltwatch -Wl,-rpath,$$ORIGIN/../.deps/libtensorflow/lib -Wl,-rpath-link,$(TF)/lib
# Test programs are built in a temporary folder.
export LD_LIBRARY_PATH := $(TF)/lib
export TF_CPP_MIN_LOG_LEVEL ?= 2
LDFLAGS := -ldflags "-X main.version=$(shell git describe --tags --always --dirty 2>/dev/null || echo dev)"

.DEFAULT_GOAL := help
.PHONY: help
help: ## list what can be done
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

.PHONY: deps
deps: ## install what a bare Debian 12 lacks (first time 3-8 minutes, later seconds)
	@scripts/deps.sh

.PHONY: deps-train
deps-train: ## the same, with the Python packages for training and its tests
	@scripts/deps.sh --python

.PHONY: env
env: ## print the compiler settings that an editor needs
	@printf 'export CGO_CFLAGS=%q\nexport CGO_LDFLAGS=%q\nexport LD_LIBRARY_PATH=%q\n' "$$CGO_CFLAGS" "$$CGO_LDFLAGS" "$$LD_LIBRARY_PATH"

.PHONY: deb
deb: deps ## build dist/meltwatch_*.deb and dist/meltctl_*.deb (first time 20 minutes, then 3); ARCH=arm64 for the other architecture
	@scripts/deb.sh $(ARCH)

.PHONY: build
build: deps ## build the programs into bin/ (first time 3 minutes, then seconds)
	@mkdir -p bin
	CGO_ENABLED=0 go build $(LDFLAGS) -o bin/meltwatch ./cmd/meltwatch
	CGO_ENABLED=0 go build $(LDFLAGS) -o bin/meltctl ./cmd/meltctl
	CGO_ENABLED=0 go build $(LDFLAGS) -o bin/furnace-sim ./cmd/furnace-sim
	CGO_ENABLED=0 go build -o bin/demo ./cmd/demo
	CGO_ENABLED=0 go build $(LDFLAGS) -o bin/bench ./cmd/bench
	go build -o bin/meltwatch-camera ./cmd/meltwatch-camera
	go build -o bin/meltwatch-infer ./cmd/meltwatch-infer

.PHONY: demo
demo: build ## the main job, every part real: DEMO_SECONDS=480 (default); first time 2-10 minutes more
	@echo "demo: a scripted melt of $${DEMO_SECONDS:-480} seconds"
	@bin/demo

.PHONY: test
test: build deps-train ## every test: Go, Go with the race detector, fuzzing, Python (about an hour on two cores)
	@scripts/test.sh

.PHONY: test-pure
test-pure: ## the tests that need no C library and no Python (10 minutes)
	CGO_ENABLED=0 go test $$(scripts/pure.sh)

.PHONY: schemas
schemas: ## generate docs/schemas from the code (seconds)
	CGO_ENABLED=0 go test ./docs/schemas -run TestFilesAreGenerated -update

.PHONY: lint
lint: ## golangci-lint, installed at its pinned version (first time 3 minutes)
	@scripts/lint.sh

.PHONY: fuzz
fuzz: ## each fuzz target FUZZ_RUNS times (default 100000x, 3 minutes)
	@scripts/fuzz.sh $${FUZZ_RUNS:-100000x}

.PHONY: bench
bench: build ## compare speed with Telegraf, gocv, ffmpeg and bbolt, and with the limit, side by side; writes docs/performance.md (20 minutes; the first time 5 more, for Telegraf); goes on where it stopped; BENCH_PARTS=meter,client for some parts alone
	go build -o bin/bench-every ./cmd/bench-every
	@scripts/telegraf.sh
	bin/bench performance $(if $(BENCH_PARTS),--parts $(BENCH_PARTS)) --into docs/performance.md

.PHONY: bench-model
bench-model: deps-train runs/fmformer-b/manifest.json ## measure functions: model through Go and against FmFormer-B, scene, alignment, Modbus (4 minutes)
	TF_ENABLE_ONEDNN_OPTS=$${TF_ENABLE_ONEDNN_OPTS:-0} go test -run '^$$' -bench . -benchtime 1s ./...

# What the product's speed is compared with: untrained, so made when it is wanted.
runs/fmformer-b/manifest.json: inference/train/models/fmformer.py inference/train/models/fmformer_b.py inference/train/export/fmformer.py | deps-train
	.deps/venv/bin/python -m inference.train.fmformer --out runs/fmformer-b

.PHONY: train
train: build deps-train ## make a model anew: data, training, fine-tuning, judging, export (some 4 hours)
	@scripts/train.sh

.PHONY: compare
compare: build deps-train ## train and score every system of the comparison, three seeds (3-4 hours; goes on where it stopped); writes docs/comparison.md
	@scripts/compare.sh

.PHONY: folds
folds: build deps-train ## leave each family of furnaces out of training, and score what was trained on it (some 4 hours a fold; goes on where it stopped; FOLDS="emission metal" for some); writes docs/left-out.md
	@scripts/folds.sh

.PHONY: compare-folds
compare-folds: build deps-train ## the main systems on furnaces that training left out, two folds (8 hours; goes on where it stopped); writes docs/comparison-folds.md
	@scripts/compare-folds.sh

.PHONY: prove
prove: build deps-train ## what takes longer than a test may: fuzzing by the million, kills, outages, a soak, simulated lives, the model on a large fresh set, a melt live and offline, a model of labelled recordings, frozen pictures and quiet hours (2 hours, and 3 more for the quiet ones; QUIET_HOURS=1 for a short look); writes docs/proof.md
	@scripts/prove.sh

.PHONY: soak
soak: build ## every program together for SOAK_MINUTES (default 20), with outages: what arrived, memory, descriptors
	@bin/bench soak --minutes $${SOAK_MINUTES:-20}

.PHONY: reliability
reliability: build ## measure delivery, and compare with Telegraf; writes docs/reliability.md (10 minutes)
	bin/bench figures --into docs/reliability.md
	scripts/telegraf.sh
	bin/bench outage --into docs/reliability.md

.PHONY: clean
clean: ## remove what was built; keep dependencies, recordings (data/) and training runs (runs/)
	rm -rf bin

.PHONY: scenes
scenes: ## draw the contact sheets of the simulated furnaces, docs/scenes.png and docs/houses.png
	go run ./cmd/furnace-sim sheet --out docs/scenes.png
	go run ./cmd/furnace-sim sheet --houses --out docs/houses.png
