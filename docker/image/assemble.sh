#!/bin/sh
# Our own packages beside the others, the models that are baked in checked, and the list of all.
#   assemble.sh cpu|gpu
set -eu

home=/opt/heliochrome
/tools/bin/pip --python "$home/bin/python" install --no-cache-dir --no-index --no-deps \
    /parts/ours/*.whl
if [ -n "$(ls -A /parts/models)" ]; then
    chmod -R a+rX,go-w /parts/models
    # What it notes of the files is not for the image.
    HELIOCHROME_CACHE=/verified HELIOCHROME_MODELS=/parts/models HELIOCHROME_OFFLINE=1 \
        "$home/bin/heliochrome" models verify
fi
python3 /parts/sbom.py "heliochrome-$1" /parts/status "$home"/lib/python3*/site-packages \
    /parts/comfyui >"$home/sbom.cdx.json"
