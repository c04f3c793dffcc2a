#!/bin/sh
# The image's Python packages, into /opt/heliochrome.
#   packages.sh cpu|gpu [INDEX]   those of cpu.txt or gpu.txt; INDEX is asked beside pip's own
#   packages.sh tensorrt FOLDER   the wheels in it, if there are any
set -eu

home=/opt/heliochrome

install() {
    /tools/bin/pip --python "$home/bin/python" install --no-cache-dir --no-index --no-deps "$@"
}

# What no program here opens: tests, headers, build tools, source maps, and from the processor's
# image the graphics cards' code. 0.6 GB of 3.
trim() {
    cd "$home"/lib/python3*/site-packages
    rm -rf torch/test torch/include torch/share openvino/include onnx/backend/test
    find torch/bin -mindepth 1 ! -name torch_shm_manager -delete
    find . -type d -name tests -not -path './torch/*' -prune -exec rm -rf {} +
    find comfyui_frontend_package -name '*.map' -delete
    find . -name '*.a' -delete
    if [ "$1" = cpu ]; then
        find comfy_kitchen/backends/cuda comfy_kitchen/backends/hip -name '*.so' -delete
    fi
}

locked() {
    export PIP_CONFIG_FILE=/run/secrets/pip.conf
    if [ -f /run/secrets/ca.pem ]; then export PIP_CERT=/run/secrets/ca.pem; fi
    /tools/bin/pip wheel --no-cache-dir --no-deps --require-hashes --no-build-isolation \
        --only-binary :all: --no-binary pyvips ${2:+--extra-index-url "$2"} -w /wheels -r "$1.txt"
    python3 -m venv --without-pip "$home"
    install /wheels/*.whl
    rm -rf /wheels
    trim "$1"
}

tensorrt() {
    [ -n "$(ls -A "$1")" ] || return 0
    for wheel in "$1"/*; do
        case ${wheel##*/} in
            tensorrt_cu13*-10.*.whl) ;;
            *)
                echo "Expected wheels of TensorRT 10 for CUDA 13, such as" \
                    "tensorrt_cu13_libs-10.16.1.11-*.whl; there is ${wheel##*/}." \
                    "Take it out of the folder given as tensorrt." >&2
                exit 2
                ;;
        esac
    done
    install "$1"/*.whl
}

case $1 in
    tensorrt) tensorrt "$2" ;;
    *) locked "$@" ;;
esac
