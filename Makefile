# What a person does with Meltwatch. `make` alone lists it.
SHELL := /bin/bash
TF := $(CURDIR)/.deps/libtensorflow
# The TensorFlow binding links itself while it compiles, so paths come by environment.
export CGO_CFLAGS := -I$(TF)/include
export CGO_LDFLAGS := -L$(TF)/lib -ltensorflow_framework -Wl,-rpath,$(TF)/lib
export TF_CPP_MIN_LOG_LEVEL ?= 2
PYTHON_VENV := .deps/venv/bin/python

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
	@printf 'export CGO_CFLAGS=%q\nexport CGO_LDFLAGS=%q\n' "$(CGO_CFLAGS)" "$(CGO_LDFLAGS)"

.PHONY: build
build: deps ## build the programs into bin/ (first time 2 minutes)
	@mkdir -p bin
	CGO_ENABLED=0 go build -o bin/meltwatch ./agent
	go build -o bin/meltwatch-camera ./drivers/camera
	go build -o bin/meltwatch-infer ./inference/server
	go build -o bin/furnace-sim ./simulator
