#!/usr/bin/env bash
# Makes .venv with ROS 2, the interfaces of this package and the models; `make setup` calls it.
# Each step leaves a stamp of what it was made from, so that a second run, or a run after an
# interruption, does only what is still missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly VENV="$PWD/.venv"
readonly STAMPS="$VENV/.setup"
readonly LOG="$STAMPS/log"

fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

say() {
    printf 'setup: %s\n' "$*"
}

# Keeps what a sourced ROS installation puts into the environment out of this one.
isolated() {
    env -u PYTHONPATH -u PYTHONHOME -u AMENT_PREFIX_PATH -u CMAKE_PREFIX_PATH -u COLCON_PREFIX_PATH \
        -u ROS_DISTRO -u LD_LIBRARY_PATH -u _ROS_WHEELS_BOOTSTRAP_COMPLETE "$@"
}

is_done() {
    [[ -f "$STAMPS/$1" && "$(<"$STAMPS/$1")" == "$2" ]]
}

mark_done() {
    printf '%s' "$2" >"$STAMPS/$1.new"
    mv "$STAMPS/$1.new" "$STAMPS/$1"
}

hash_of() {
    find "$@" -type f ! -name '*.pyc' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum
}

is_supported() {
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.10 python3.14}; do
        if is_supported "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    local found
    found="$("${PYTHON:-python3}" --version 2>/dev/null)" || found="${found:-not there}"
    fail "Python 3.10 to 3.14 is needed (wheels exist for no other), but ${PYTHON:-python3} is $found;" \
        'name one with `make setup PYTHON=/path/to/python3`, or run:' \
        'sudo apt-get install python3 python3-venv python3-dev'
}

check_machine() {
    local python="$1" missing=()
    [[ "$(uname -sm)" == 'Linux x86_64' ]] || fail "the ROS 2 wheels are made for Linux on x86-64," \
        "this is $(uname -sm); install ROS 2 here and build this package with \`colcon build\`."
    local version
    version="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
    "$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=("python$version-venv")
    "$python" -c 'import os, sysconfig
raise SystemExit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' ||
        missing+=("python$version-dev")
    command -v "${CXX:-g++}" >/dev/null && command -v "${CC:-gcc}" >/dev/null || missing+=(g++)
    [[ ${#missing[@]} -eq 0 ]] ||
        fail "this machine lacks ${missing[*]}; run: sudo apt-get install ${missing[*]}"
}

make_venv() {
    if [[ -f "$STAMPS/location" && "$(<"$STAMPS/location")" != "$VENV" ]]; then
        say "the folder was moved from $(<"$STAMPS/location"): making .venv anew"
        rm -rf "$VENV"
    elif [[ -e "$VENV/bin/python" ]] && ! "$VENV/bin/python" -c '' 2>/dev/null; then
        say 'the Python of .venv does not start any more: making .venv anew'
        rm -rf "$VENV"
    fi
    mkdir -p "$STAMPS"
    exec 9>"$STAMPS/lock"
    flock 9
    is_done location "$VENV" && return
    if ! isolated "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
        local python
        python="$(find_python)"
        check_machine "$python"
        say "making .venv with $("$python" --version)"
        isolated "$python" -m venv "$VENV"
    fi
    mark_done location "$VENV"
}

install_requirements() {
    local hash
    hash="$(hash_of requirements)"
    is_done requirements "$hash" && return
    say 'installing ROS 2, torch and the rest into .venv (some minutes; 2 GB, with CUDA 6 GB)'
    isolated "$VENV/bin/python" -m pip install -qq --disable-pip-version-check \
        -r requirements/ros.txt -r requirements/runtime.txt -r requirements/training.txt \
        -r requirements/onnx.txt -r requirements/export.txt -r requirements/develop.txt ||
        fail 'pip could not install the requirements (its message is above);' \
            'once the cause is gone, the same command goes on from here.'
    mark_done requirements "$hash"
}

run_cmake() {
    local source="$1" build="$VENV/build/$2"
    shift 2
    local tools=(env "PATH=$VENV/bin:$PATH" "VIRTUAL_ENV=$VENV")
    isolated "${tools[@]}" cmake -S "$source" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
        -DCMAKE_PREFIX_PATH="$VENV" -DCMAKE_INSTALL_PREFIX="$VENV" \
        -DPython3_EXECUTABLE="$VENV/bin/python" -DBUILD_TESTING=OFF "$@" &&
        isolated "${tools[@]}" cmake --build "$build" &&
        (cd "$build" && isolated "${tools[@]}" cmake --install .)
}

build() {
    local what="$1"
    shift
    run_cmake "$@" >"$LOG" 2>&1 || {
        tail -n 25 "$LOG" >&2
        fail "$what could not be built; the whole output is in $LOG"
    }
}

build_overlay() {
    local hash name
    hash="$(hash_of pip_overlay cmake requirements) ${PYTHONPATH:-}"
    is_done overlay "$hash" && return
    say 'adding what a ROS installation has and the wheels lack'
    for name in $("$VENV/bin/python" pip_overlay/install.py); do
        build "$name" "pip_overlay/$name" "$name"
    done
    mark_done overlay "$hash"
}

# Every file is a link to the checkout: edits act at once, but new files need new links.
build_package() {
    local hash
    hash="$(hash_of msg cmake CMakeLists.txt package.xml requirements \
        scripts/camera_node scripts/inference_node scripts/recorder_node scripts/hand-pose)"
    if ! is_done package "$hash"; then
        say 'building the interfaces'
        build 'the package' . hand_pose_ros -DAMENT_CMAKE_SYMLINK_INSTALL=1
        mark_done package "$hash"
    fi
    link_new_files
}

link_new_files() {
    local files
    files="$(find hand_pose_ros config launch rviz -type f ! -name '*.pyc' | LC_ALL=C sort)"
    is_done files "$files" && return
    find "$VENV/share/hand_pose_ros" "$VENV"/lib/python*/site-packages/hand_pose_ros -xtype l -delete
    (cd "$VENV/build/hand_pose_ros" && isolated env "PATH=$VENV/bin:$PATH" cmake --install .) \
        >"$LOG" 2>&1 || fail "the package could not be installed; the output is in $LOG"
    mark_done files "$files"
}

# Quick when the models are there: it only compares their checksums.
install_models() {
    "$VENV/bin/python" -m hand_pose_ros.estimators.model_store >"$LOG" 2>&1 || {
        cat "$LOG" >&2
        fail 'the models could not be fetched; once the cause is gone, repeat the same command.'
    }
}

make_venv
install_requirements
build_overlay
build_package
install_models
