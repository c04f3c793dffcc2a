"""TIFF and EXIF tag numbers that have a meaning to us (TIFF 6.0, EXIF 3.0, Adobe TechNotes)."""

from __future__ import annotations

from typing import Final

NEW_SUBFILE_TYPE: Final = 254
BITS: Final = 258
PHOTOMETRIC: Final = 262
STRIP_OFFSETS: Final = 273
ORIENTATION: Final = 274
SAMPLES: Final = 277
STRIP_BYTE_COUNTS: Final = 279
X_RESOLUTION: Final = 282
Y_RESOLUTION: Final = 283
PLANAR: Final = 284
RESOLUTION_UNIT: Final = 296
SUB_IFDS: Final = 330
EXTRA_SAMPLES: Final = 338
THUMBNAIL_OFFSET: Final = 513
THUMBNAIL_LENGTH: Final = 514
XMP: Final = 700
IPTC: Final = 33723
IMAGE_RESOURCES: Final = 34377
EXIF_IFD: Final = 34665
ICC: Final = 34675
GPS_IFD: Final = 34853
PHOTOSHOP_LAYERS: Final = 37724
USER_COMMENT: Final = 37510
PIXEL_X_DIMENSION: Final = 40962
PIXEL_Y_DIMENSION: Final = 40963
INTEROP_IFD: Final = 40965
DNG_VERSION: Final = 50706

POINTERS: Final = frozenset({EXIF_IFD, GPS_IFD, INTEROP_IFD})

# Tags that say how the pixels are stored. They belong to the file they are in and are never
# carried over; the blocks that have a place of their own in `Metadata` are here too.
STRUCTURE: Final = frozenset(
    {
        *range(NEW_SUBFILE_TYPE, 267),  # 254 to 266: size, compression, photometric, fill order
        STRIP_OFFSETS,
        *range(SAMPLES, 282),  # samples, rows per strip, byte counts, value range
        PLANAR,
        *range(288, 294),  # free space, grey response, fax options
        301,  # transfer function
        *range(317, 348),  # predictor to JPEG tables: palette, tiles, inks, extra samples
        *range(512, 533),  # old JPEG, YCbCr coefficients, black and white reference
        559,
        32781, 32995, 32996, 32997, 32998,  # image id, SGI storage
        34016, 34022, 34026, 34028, 34029, 34030, 34031, 34032,  # TIFF/IT rasters
        50838, 50839,  # ImageJ's description of its planes
        XMP, IPTC, IMAGE_RESOURCES, ICC, PHOTOSHOP_LAYERS,
    }
)  # fmt: skip
