#!/bin/sh
# Looks for a graphics card where the image is for one, says what it found, and becomes the command.
set -eu

# CUDA 13 needs at least this driver on the machine.
least_driver=580

use_cpu() {
    echo "heliochrome: $1 Colouring on the processor instead: it works, and takes longer." >&2
    export HELIOCHROME_PROCESSOR=cpu CUDA_VISIBLE_DEVICES=
}

if [ "${HELIOCHROME_PROCESSOR:-cpu}" = gpu ]; then
    if ! command -v nvidia-smi >/dev/null 2>&1; then
        use_cpu "No graphics card reaches this container. On the machine, install the NVIDIA \
driver and the NVIDIA Container Toolkit, and start with compose.gpu.yaml."
    elif ! found=$(nvidia-smi --query-gpu=driver_version,name --format=csv,noheader 2>&1); then
        use_cpu "The NVIDIA driver does not answer ($found). On the machine, run nvidia-smi."
    else
        driver=${found%%,*}
        major=${driver%%.*}
        case $major in
            '' | *[!0-9]*)
                use_cpu "The NVIDIA driver's version cannot be read from \"$found\"." ;;
            *)
                if [ "$major" -lt "$least_driver" ]; then
                    use_cpu "The NVIDIA driver is $driver; CUDA 13 needs $least_driver or newer. \
Update it on the machine."
                else
                    echo "heliochrome: graphics card found: $found" >&2
                fi ;;
        esac
    fi
fi

exec "$@"
