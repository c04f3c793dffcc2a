#!/bin/sh
# Takes out of the packages what no program here opens: tests, headers, build tools, source maps,
# and from the processor's image the graphics cards' code. 0.6 GB of 3.
#   trim.sh ENVIRONMENT cpu|gpu
set -eu

cd "$1"/lib/python3*/site-packages
rm -rf torch/test torch/include torch/share openvino/include onnx/backend/test
find torch/bin -mindepth 1 ! -name torch_shm_manager -delete
find . -type d -name tests -not -path './torch/*' -prune -exec rm -rf {} +
find comfyui_frontend_package -name '*.map' -delete
find . -name '*.a' -delete
if [ "$2" = cpu ]; then
    find comfy_kitchen/backends/cuda comfy_kitchen/backends/hip -name '*.so' -delete
fi
