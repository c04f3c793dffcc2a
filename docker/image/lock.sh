#!/bin/sh
# Pins every package of the image by SHA-256: cpu.txt, gpu.txt and build.txt beside this file.
#   docker/image/lock.sh COMFYUI_FOLDER [options for uv, such as --find-links FOLDER]
# Needs uv. PyTorch for processors comes from the index that the Dockerfile's TORCH_INDEX names; for
# uv: --extra-index-url ADDRESS --index-strategy unsafe-best-match.
set -eu

comfyui=$1
shift
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Every wheel of the lock is for the image's Python, that of Debian 12.
lock() {
    uv pip compile "$@" --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
        --generate-hashes --only-binary :all: --no-binary pyvips \
        --no-emit-index-url --no-header --no-annotate --quiet
}

# What is not in the image, image/absent.py stands in for.
grep -viE '^(#|(torch|torchvision|torchaudio)$|av\b)' "$comfyui/requirements.txt" >"$work/comfyui.in"
# 420 MB of preview pictures for templates whose models are not here.
no_previews="--no-emit-package comfyui-workflow-templates-media-api
    --no-emit-package comfyui-workflow-templates-media-assets-01
    --no-emit-package comfyui-workflow-templates-media-image
    --no-emit-package comfyui-workflow-templates-media-other
    --no-emit-package comfyui-workflow-templates-media-video"
extras="--extra torch --extra diffusion --extra studio --extra gateway"

printf 'torch==2.13.0+cpu\ntorchvision==0.28.0\n' >"$work/cpu.in"
# shellcheck disable=SC2086  # lists of options
lock pyproject.toml "$work/comfyui.in" "$work/cpu.in" $extras $no_previews \
    -o docker/image/cpu.txt "$@"

# onnxruntime-gpu brings the same module as onnxruntime, which the base install asks for.
printf 'torch==2.13.0\ntorchvision==0.28.0\n' >"$work/gpu.in"
# shellcheck disable=SC2086
lock pyproject.toml "$work/comfyui.in" "$work/gpu.in" $extras --extra gpu $no_previews \
    --no-emit-package onnxruntime -o docker/image/gpu.txt

printf 'hatchling\nsetuptools\npip\ncffi\npkgconfig\n' >"$work/build.in"
lock "$work/build.in" -o docker/image/build.txt
