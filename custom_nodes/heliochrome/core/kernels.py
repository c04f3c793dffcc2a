"""The pixel arithmetic, compiled: sRGB (IEC 61966-2-1), CIE Lab under D65 (CIE 15:2018), chroma.

Imports numba, so import it inside functions. Everything that is compiled is in this one file:
numba's cache knows a function by the content of its own file, not of what it calls.

A row is worked on in tiles of `TILE` pixels, each step a plain loop over a tile's floats that
LLVM turns into vector code. There is no fastmath and no fused multiply-add, and each pixel is a
function of its own inputs alone: any split into strips gives the same bits.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial, wraps
from hashlib import sha256
from typing import Any, Final

import numpy as np
from numba import njit, types
from numba.extending import overload

TILE: Final = 256  # fixed, so that loops over a tile need no rest and no check for overlaps
REACH: Final = 3  # network pixels that the taps reach beyond each edge
NETWORK_ROWS: Final = 6  # that one row of the photograph draws from
WIDE: Final = 9 * TILE  # one network row at full width: L, a, b at -1, 0, +1 network pixels
SCRATCH: Final = 12 * TILE

# Where each plane of a tile starts in the scratch array.
_L, _A, _B = 0, TILE, 2 * TILE
_RED, _GREEN, _BLUE = 3 * TILE, 4 * TILE, 5 * TILE
_EXCESS = 6 * TILE
# The pixels outside sRGB, close together.
_FY, _DA, _DB, _LOW, _HIGH = 7 * TILE, 8 * TILE, 9 * TILE, 10 * TILE, 11 * TILE

_f = np.float32
_0, _1 = _f(0), _f(1)

# Linear sRGB -> XYZ, rows divided by the D65 white that they sum to, so white is (1, 1, 1).
_RGB_TO_XYZ: Final = np.array(
    [
        [0.4123907993, 0.3575843394, 0.1804807884],
        [0.2126390059, 0.7151686788, 0.0721923154],
        [0.0193308187, 0.1191947798, 0.9505321522],
    ]
)
_TO_WHITE: Final = _RGB_TO_XYZ / _RGB_TO_XYZ.sum(axis=1, keepdims=True)
_YR, _YG, _YB = _TO_WHITE[1].astype(_f)
(_RX, _RY, _RZ), (_GX, _GY, _GZ), (_BX, _BY, _BZ) = np.linalg.inv(_TO_WHITE).astype(_f)
_EPSILON: Final = _f((6 / 29) ** 3)  # CIE: below it the cube root becomes a line
_KAPPA: Final = _f((29 / 3) ** 3)
_LINE: Final = _f(6 / 29)
_PER_KAPPA: Final = _f((3 / 29) ** 3)
_116, _16, _PER_116 = _f(116), _f(16), _f(1 / 116)
_PER_500, _PER_200 = _f(1 / 500), _f(1 / 200)

_DARK_CODE, _DARK_LIGHT = _f(0.04045), _f(0.0031308)  # sRGB: below them the curve is a line
_SLOPE, _PER_SLOPE = _f(12.92), _f(1 / 12.92)
_GAIN, _PER_GAIN, _LIFT = _f(1.055), _f(1 / 1.055), _f(0.055)

_GAMUT_SLACK: Final = _f(1e-6)
_GAMUT_STEPS: Final = 12  # bisections of the chroma factor: to 1/4096 of the chroma
_HALF: Final = _f(0.5)

# Weight of the four neighbours before the guide speaks: exp(-1 / (2 * 0.5^2)).
_NEIGHBOUR: Final = _f(0.1353)
# Keeps the plain bicubic value where the guide rejects every tap.
_FLOOR: Final = _f(1e-3)

# A power of x from the float's own bits, the mantissa taken as the logarithm's fraction; the
# series of (1 - h)^(-1/n) then triples its correct digits with every step.
_ONE_BITS: Final = (127 - 0.0450465) * 2**23
_THIRD, _THIRD_BITS = _f(1 / 3), _f(_ONE_BITS * 4 / 3)
_FIFTH, _FIFTH_BITS = _f(1 / 5), _f(_ONE_BITS * 6 / 5)
_3RD_1, _3RD_2 = _f(1 / 3), _f(2 / 9)
_5TH_1, _5TH_2 = _f(1 / 5), _f(3 / 25)
# 2^x on [0, 1): the minimax-like polynomial through its Chebyshev points, to 2e-7.
_2P0, _2P1, _2P2, _2P3, _2P4, _2P5 = (
    np.polynomial.chebyshev.Chebyshev.interpolate(np.exp2, 5, (0, 1))
    .convert(kind=np.polynomial.Polynomial)
    .coef.astype(_f)
)
_BITS, _BIAS, _LEAST = _f(2**23), _f(127), _f(-126)
_HALF_PER_LN2: Final = _f(0.5 / np.log(2))

_compile: Final = partial(njit, nogil=True, error_model="numpy")
# What numba keeps names the module it was made in, its file names only the last part of that:
# ComfyUI, which imports the pack by path, and the command line must not read each other's.
_OWN: Final = sha256(__name__.encode()).hexdigest()[:8]
_Function = Callable[..., Any]
# What reading a damaged file of numba's, or writing one, can raise; the kernels themselves raise
# nothing.
_DAMAGED: Final = (
    OSError,
    EOFError,
    pickle.PickleError,
    ValueError,
    AttributeError,
    LookupError,
    ImportError,
)


def _part(function: _Function) -> _Function:
    """Compiled into the functions that call it."""
    compiled: _Function = _compile(no_cpython_wrapper=True)(function)
    return compiled


def _entry(function: _Function) -> _Function:
    """Called from Python; its machine code is kept on disk where a folder can be written.

    That is beside this file, else in the user's cache folder, else nowhere. What is kept can
    be damaged, and keeping it can meet a full disk: then it is compiled for this process.
    """
    function.__qualname__ += f"_{_OWN}"
    try:
        cached = _compile(cache=True)(function)
    except RuntimeError:  # numba found no folder
        plain: _Function = _compile()(function)
        return plain
    afresh = _compile()(function)

    @wraps(function)
    def call(*args: Any) -> None:
        try:
            cached(*args)
        except _DAMAGED:
            afresh(*args)

    return call


@_part
def _per_cube_root(x: Any) -> Any:
    """x ** (-1/3) for normal x > 0, to 2e-7 of it."""
    r = np.int32(_THIRD_BITS - _f(_f(x).view(np.int32)) * _THIRD).view(np.float32)
    for _ in range(2):
        h = _1 - x * r * r * r
        r = r + r * (h * (_3RD_1 + h * _3RD_2))
    return r


@_part
def _per_fifth_root(x: Any) -> Any:
    r = np.int32(_FIFTH_BITS - _f(_f(x).view(np.int32)) * _FIFTH).view(np.float32)
    for _ in range(2):
        square = r * r
        h = _1 - x * square * square * r
        r = r + r * (h * (_5TH_1 + h * _5TH_2))
    return r


@_part
def _bell(d: Any) -> Any:
    """exp(-d * d / 2)."""
    power = max(-_HALF_PER_LN2 * d * d, _LEAST)
    whole = np.floor(power)
    x = power - whole
    mantissa = _2P0 + x * (_2P1 + x * (_2P2 + x * (_2P3 + x * (_2P4 + x * _2P5))))
    return mantissa * np.int32((whole + _BIAS) * _BITS).view(np.float32)


@_part
def _decode(code: Any) -> Any:
    """sRGB in [0, 1] to linear light."""
    code = min(max(code, _0), _1)
    t = (max(code, _DARK_CODE) + _LIFT) * _PER_GAIN
    fourth_fifth = t * _per_fifth_root(t)
    curve = fourth_fifth * fourth_fifth * fourth_fifth  # t ** 2.4
    return code * _PER_SLOPE if code <= _DARK_CODE else curve


@_part
def _encode(linear: Any) -> Any:
    """Linear light, clipped to [0, 1], to sRGB."""
    linear = min(max(linear, _0), _1)
    x = max(linear, _DARK_LIGHT)
    r = _per_cube_root(x)
    root = x * r * r
    curve = _GAIN * (root * np.sqrt(np.sqrt(root))) - _LIFT  # x ** (1/3 + 1/12)
    return linear * _SLOPE if linear <= _DARK_LIGHT else curve


@_part
def _lightness(y: Any) -> Any:
    """Relative luminance in [0, 1] to L*."""
    x = max(y, _EPSILON)
    r = _per_cube_root(x)
    curve = _116 * (x * r * r) - _16
    return curve if y > _EPSILON else _KAPPA * y


@_part
def _inverse(f: Any) -> Any:
    """CIE's f to a tristimulus value relative to white."""
    cube = f * f * f
    return cube if f > _LINE else (_116 * f - _16) * _PER_KAPPA


@_part
def _linear_rgb(fy: Any, da: Any, db: Any) -> Any:
    """fy = (L* + 16) / 116, da = a* / 500, db = b* / 200."""
    x, y, z = _inverse(fy + da), _inverse(fy), _inverse(fy - db)
    return (
        _RX * x + _RY * y + _RZ * z,
        _GX * x + _GY * y + _GZ * z,
        _BX * x + _BY * y + _BZ * z,
    )


def _light_of(value: Any, table: Any) -> Any:
    """Linear light of a stored value: by table for integers, by formula for floats."""


@overload(_light_of, strict=False)
def _light_of_typed(value: Any, table: Any) -> Any:
    if isinstance(value, types.Float):
        return lambda value, table: _decode(value)
    return lambda value, table: table[value]


def _level(code: Any, like: Any, top: Any) -> Any:
    """sRGB in [0, 1] as a stored value of the type of `like`."""


@overload(_level, strict=False)
def _level_typed(code: Any, like: Any, top: Any) -> Any:
    if isinstance(like, types.Float):
        return lambda code, like, top: code
    return lambda code, like, top: np.rint(code * top)


@_part
def _read(photo: Any, y: Any, x0: Any, n: Any, table: Any, s: Any) -> None:
    """L* of `n` pixels from (y, x0) on."""
    row = photo[y, x0 : x0 + n]
    coloured = 0
    for x in range(n):
        coloured |= (row[x, 0] != row[x, 1]) | (row[x, 1] != row[x, 2])
    for x in range(n):
        s[_RED + x] = _light_of(row[x, 0], table)
    if coloured:
        for x in range(n):
            s[_GREEN + x] = _light_of(row[x, 1], table)
            s[_BLUE + x] = _light_of(row[x, 2], table)
        for x in range(TILE):
            s[_L + x] = _lightness(_YR * s[_RED + x] + _YG * s[_GREEN + x] + _YB * s[_BLUE + x])
    else:
        for x in range(TILE):
            grey = s[_RED + x]
            s[_L + x] = _lightness(_YR * grey + _YG * grey + _YB * grey)


@_part
def _colour(n: Any, who: Any, s: Any) -> None:
    """L*a*b* of a tile to linear light; outside sRGB the chroma shrinks until it fits."""
    for x in range(TILE):
        fy = (s[_L + x] + _16) * _PER_116
        r, g, b = _linear_rgb(fy, s[_A + x] * _PER_500, s[_B + x] * _PER_200)
        s[_RED + x], s[_GREEN + x], s[_BLUE + x] = r, g, b
        s[_EXCESS + x] = max(max(r, max(g, b)) - _1, -min(r, min(g, b)))
    count = 0
    for x in range(n):
        who[count] = x
        count += s[_EXCESS + x] > _GAMUT_SLACK
    if count == 0:
        return
    for i in range(count):
        x = who[i]
        s[_FY + i] = (s[_L + x] + _16) * _PER_116
        s[_DA + i], s[_DB + i] = s[_A + x] * _PER_500, s[_B + x] * _PER_200
        s[_LOW + i], s[_HIGH + i] = _0, _1  # grey always fits
    for _ in range(_GAMUT_STEPS):
        for i in range(count):
            low, high = s[_LOW + i], s[_HIGH + i]
            middle = (low + high) * _HALF
            r, g, b = _linear_rgb(s[_FY + i], s[_DA + i] * middle, s[_DB + i] * middle)
            fits = (min(r, min(g, b)) >= _0) & (max(r, max(g, b)) <= _1)
            s[_LOW + i] = middle if fits else low
            s[_HIGH + i] = high if fits else middle
    for i in range(count):
        x, low = who[i], s[_LOW + i]
        r, g, b = _linear_rgb(s[_FY + i], s[_DA + i] * low, s[_DB + i] * low)
        s[_RED + x], s[_GREEN + x], s[_BLUE + x] = r, g, b


@_part
def _write(out: Any, y: Any, x0: Any, n: Any, top: Any, s: Any) -> None:
    """Linear light of a tile to `n` stored pixels from (y, x0) on."""
    for x in range(3 * TILE):
        s[_RED + x] = _encode(s[_RED + x])
    row = out[y, x0 : x0 + n]
    for x in range(n):
        for c in range(3):
            row[x, c] = _level(s[_RED + c * TILE + x], row[x, c], top)


@_part
def _widen(row: Any, first: Any, weight: Any, x0: Any, joint: Any, wide: Any) -> None:
    """A network row (3, w) at the photograph's width, for the tile from x0 on."""
    for p in range(3):
        plane = row[p]
        for x in range(TILE):
            i = first[x0 + x]
            w0, w1 = weight[0, x0 + x], weight[1, x0 + x]
            w2, w3 = weight[2, x0 + x], weight[3, x0 + x]
            s1, s2, s3, s4 = plane[i], plane[i + 1], plane[i + 2], plane[i + 3]
            wide[(3 * p + 1) * TILE + x] = w0 * s1 + w1 * s2 + w2 * s3 + w3 * s4
            if joint:
                s0, s5 = plane[i - 1], plane[i + 4]
                wide[3 * p * TILE + x] = w0 * s0 + w1 * s1 + w2 * s2 + w3 * s3
                wide[(3 * p + 2) * TILE + x] = w0 * s2 + w1 * s3 + w2 * s4 + w3 * s5


@_part
def _tap(r0: Any, r1: Any, r2: Any, r3: Any, w: Any, plane: Any, x: Any) -> Any:
    """One plane of four widened rows, interpolated between them."""
    at = plane * TILE + x
    return w[0] * r0[at] + w[1] * r1[at] + w[2] * r2[at] + w[3] * r3[at]


@_part
def _bicubic(rows: Any, w: Any, s: Any) -> None:
    """ab of a tile: plain."""
    _, r1, r2, r3, r4, _ = rows
    for x in range(TILE):
        s[_A + x] = _tap(r1, r2, r3, r4, w, 4, x)
        s[_B + x] = _tap(r1, r2, r3, r4, w, 7, x)


@_part
def _guided(rows: Any, w: Any, per_sigma: Any, s: Any) -> None:
    """ab of a tile: joint bilateral, from here and one network pixel up, down, left, right."""
    r0, r1, r2, r3, r4, r5 = rows
    for x in range(TILE):
        light = s[_L + x]
        here = _bell((light - _tap(r1, r2, r3, r4, w, 1, x)) * per_sigma) + _FLOOR
        up = _bell((light - _tap(r0, r1, r2, r3, w, 1, x)) * per_sigma) * _NEIGHBOUR
        down = _bell((light - _tap(r2, r3, r4, r5, w, 1, x)) * per_sigma) * _NEIGHBOUR
        left = _bell((light - _tap(r1, r2, r3, r4, w, 0, x)) * per_sigma) * _NEIGHBOUR
        right = _bell((light - _tap(r1, r2, r3, r4, w, 2, x)) * per_sigma) * _NEIGHBOUR
        scale = _1 / (here + up + down + left + right)
        s[_A + x] = scale * (
            here * _tap(r1, r2, r3, r4, w, 4, x)
            + up * _tap(r0, r1, r2, r3, w, 4, x)
            + down * _tap(r2, r3, r4, r5, w, 4, x)
            + left * _tap(r1, r2, r3, r4, w, 3, x)
            + right * _tap(r1, r2, r3, r4, w, 5, x)
        )
        s[_B + x] = scale * (
            here * _tap(r1, r2, r3, r4, w, 7, x)
            + up * _tap(r0, r1, r2, r3, w, 7, x)
            + down * _tap(r2, r3, r4, r5, w, 7, x)
            + left * _tap(r1, r2, r3, r4, w, 6, x)
            + right * _tap(r1, r2, r3, r4, w, 8, x)
        )


@_part
def _chroma(
    planes: Any,
    columns: Any,
    column_weights: Any,
    first: Any,
    w: Any,
    per_sigma: Any,
    x0: Any,
    loaded: Any,
    wide: Any,
    s: Any,
) -> Any:
    """ab of one tile; `wide` holds the network rows up to `loaded`. Gives what it holds now."""
    joint = per_sigma > _0
    end = first + NETWORK_ROWS
    for r in range(max(first, loaded), end):
        _widen(planes[r], columns, column_weights, x0, joint, wide[r % NETWORK_ROWS])
    rows = (
        wide[first % NETWORK_ROWS],
        wide[(first + 1) % NETWORK_ROWS],
        wide[(first + 2) % NETWORK_ROWS],
        wide[(first + 3) % NETWORK_ROWS],
        wide[(first + 4) % NETWORK_ROWS],
        wide[(first + 5) % NETWORK_ROWS],
    )
    if joint:
        _guided(rows, (w[0], w[1], w[2], w[3]), per_sigma, s)
    else:
        _bicubic(rows, (w[0], w[1], w[2], w[3]), s)
    return end


@_entry
def paint(
    photo: Any,  # (rows, W, 3) uint8 | uint16 | float32
    out: Any,  # the same; may be `photo`
    table: Any,  # linear light of every integer level
    top: Any,  # float32, the value of white
    planes: Any,  # (h + 2 REACH, 3, w + 2 REACH) float32: L, a, b
    columns: Any,  # (W up to whole tiles) uint32: the first of four taps
    column_weights: Any,  # (4, the same) float32
    firsts: Any,  # (rows) int64: the first of six network rows
    row_weights: Any,  # (rows, 4) float32
    per_sigma: Any,  # float32 1 / edge_sigma in L*; 0 is no guide
) -> None:
    """The photograph's own L* with the network's chroma."""
    s, wide = np.zeros(SCRATCH, np.float32), np.zeros((NETWORK_ROWS, WIDE), np.float32)
    who = np.empty(TILE + 1, np.int32)
    width = photo.shape[1]
    for x0 in range(0, width, TILE):
        n, loaded = min(TILE, width - x0), 0
        for y in range(len(photo)):
            _read(photo, y, x0, n, table, s)
            loaded = _chroma(
                planes, columns, column_weights, firsts[y], row_weights[y], per_sigma, x0, loaded,
                wide, s,
            )  # fmt: skip
            _colour(n, who, s)
            _write(out, y, x0, n, top, s)


@_entry
def upsample(
    light: Any,  # (rows, W) float32 L*
    out: Any,  # (rows, W, 2) float32 ab
    planes: Any,
    columns: Any,
    column_weights: Any,
    firsts: Any,
    row_weights: Any,
    per_sigma: Any,
) -> None:
    """The chroma alone; arguments as in `paint`."""
    s, wide = np.zeros(SCRATCH, np.float32), np.zeros((NETWORK_ROWS, WIDE), np.float32)
    width = light.shape[1]
    for x0 in range(0, width, TILE):
        n, loaded = min(TILE, width - x0), 0
        for y in range(len(light)):
            for x in range(n):
                s[_L + x] = light[y, x0 + x]
            loaded = _chroma(
                planes, columns, column_weights, firsts[y], row_weights[y], per_sigma, x0, loaded,
                wide, s,
            )  # fmt: skip
            for x in range(n):
                out[y, x0 + x, 0], out[y, x0 + x, 1] = s[_A + x], s[_B + x]


@_entry
def shrink(
    photo: Any,  # (H, W, 3)
    out: Any,  # (rows, w) float32 L*
    table: Any,
    firsts: Any,  # (rows) int64: the first row that is averaged
    row_weights: Any,  # (rows, most rows averaged) float32, 0 where there is none
    columns: Any,  # (w) int64
    column_weights: Any,  # (w, most columns averaged)
) -> None:
    """L* averaged down the columns first, which is the long way, then along the rows."""
    s = np.zeros(SCRATCH, np.float32)
    width = photo.shape[1]
    line, total = np.empty(width, np.float32), np.empty(width, np.float32)
    held = -1
    for i in range(len(out)):
        for x in range(width):
            total[x] = _0
        for tap in range(row_weights.shape[1]):
            weight = row_weights[i, tap]
            if weight == _0:
                continue
            y = firsts[i] + tap
            if y != held:
                for x0 in range(0, width, TILE):
                    n = min(TILE, width - x0)
                    _read(photo, y, x0, n, table, s)
                    for x in range(n):
                        line[x0 + x] = s[_L + x]
                held = y
            for x in range(width):
                total[x] += weight * line[x]
        for j in range(out.shape[1]):
            mean = _0
            for tap in range(column_weights.shape[1]):
                weight = column_weights[j, tap]
                if weight != _0:
                    mean += weight * total[columns[j] + tap]
            out[i, j] = mean


@_entry
def lightness(photo: Any, out: Any, table: Any) -> None:
    """(1, n, 3) pixels to (n) float32 L*."""
    s = np.zeros(SCRATCH, np.float32)
    for x0 in range(0, len(out), TILE):
        n = min(TILE, len(out) - x0)
        _read(photo, 0, x0, n, table, s)
        for x in range(n):
            out[x0 + x] = s[_L + x]


@_entry
def to_srgb(light: Any, ab: Any, out: Any) -> None:
    """(n) L* and (n, 2) ab to (1, n, 3) sRGB, all float32."""
    s = np.zeros(SCRATCH, np.float32)
    who = np.empty(TILE + 1, np.int32)
    for x0 in range(0, len(light), TILE):
        n = min(TILE, len(light) - x0)
        for x in range(n):
            s[_L + x], s[_A + x], s[_B + x] = light[x0 + x], ab[x0 + x, 0], ab[x0 + x, 1]
        _colour(n, who, s)
        _write(out, 0, x0, n, _1, s)


@_entry
def decode(code: Any, out: Any) -> None:
    for i in range(len(out)):
        out[i] = _decode(code[i])


@_entry
def encode(linear: Any, out: Any) -> None:
    for i in range(len(out)):
        out[i] = _encode(linear[i])


@_entry
def grey(light: Any, out: Any) -> None:
    """L* to the sRGB value of the neutral that has it."""
    for i in range(len(out)):
        out[i] = _encode(_inverse((light[i] + _16) * _PER_116))
