#!/bin/sh
# What comes beside the others' packages, into /parts/added: our own, and the list of all; and the
# models that are baked in, checked.
#   assemble.sh cpu|gpu
set -eu

home=/opt/heliochrome
touch /parts/before
/tools/bin/pip --python "$home/bin/python" install --no-cache-dir --no-index --no-deps \
    /parts/ours/*.whl
if [ -n "$(ls -A /parts/models)" ]; then
    chmod -R a+rX,go-w /parts/models
    # What it notes of the files is not for the image.
    HELIOCHROME_CACHE=/verified HELIOCHROME_MODELS=/parts/models HELIOCHROME_OFFLINE=1 \
        PYTHONDONTWRITEBYTECODE=1 "$home/bin/heliochrome" models verify
fi
python3 /parts/sbom.py "heliochrome-$1" /parts/status "$home"/lib/python3*/site-packages \
    /parts/comfyui >"$home/sbom.cdx.json"
mkdir /parts/added
find "$home" -cnewer /parts/before ! -type d -printf '%P\0' |
    tar -C "$home" --null --files-from - -cf - | tar -C /parts/added -xf -
