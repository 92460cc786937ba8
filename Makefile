# `make demo` and `make test` are all one needs; each sets up .venv on first use.

# Nothing leaves this machine; set it to SUBNET to let other machines listen.
export ROS_AUTOMATIC_DISCOVERY_RANGE ?= LOCALHOST
# Where a ROS installation is sourced, .venv stays on its own: two of them in one process clash.
SOURCED := $(foreach prefix,$(subst :, ,$(AMENT_PREFIX_PATH)),$(wildcard $(prefix)/share/rclpy))
ifneq ($(filter-out $(CURDIR)/%,$(SOURCED)),)
unexport PYTHONPATH AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH LD_LIBRARY_PATH ROS_DISTRO
endif
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE

.PHONY: help setup demo test bench docs clean

help:
	@echo 'make demo   simulated head rig -> ROS 2 -> metric hand poses, with a report'
	@echo 'make test   lint, types and all tests'
	@echo 'make bench  the figures of the README, measured on this machine'
	@echo 'make docs   check the links of the documentation and run its examples'
	@echo 'make setup  .venv with ROS 2, the interfaces and the models; the others call it'
	@echo 'make clean  remove .venv and everything that was built'

setup:
	@./scripts/setup.sh

demo: setup
	@.venv/bin/hand-pose demo

test: setup
	@status=0; for check in 'ruff check .' 'ruff format --check .' mypy 'pytest -n 2'; do \
	    echo "== $$check"; .venv/bin/$$check || status=1; \
	done; exit $$status

bench: setup
	@.venv/bin/hand-pose benchmark all --json output/benchmarks.json

docs: setup
	.venv/bin/pytest tests/docs

clean:
	rm -rf .venv build install log output .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
