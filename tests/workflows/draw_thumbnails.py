"""Draws the thumbnails of the workflow templates: drawn scenes, before left, after right.

They show what a template is for and are not results of a model.
Run `python tests/workflows/draw_thumbnails.py` after changing a scene.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFilter, ImageOps

FOLDER = Path(__file__).parents[2] / "workflows"
DRAWN = (1280, 800)
SHOWN = (240, 0, 1040, 800)  # the template browser shows squares
SIZE = (480, 480)
QUALITY = 90


def sky(top: tuple[int, int, int], bottom: tuple[int, int, int]) -> Image.Image:
    column = Image.new("RGB", (1, 2))
    column.putpixel((0, 0), top)
    column.putpixel((0, 1), bottom)
    return column.resize(DRAWN, Image.Resampling.BILINEAR)


def portrait() -> Image.Image:
    image = sky((196, 214, 206), (150, 176, 160))
    draw = ImageDraw.Draw(image)
    for x, y, radius, colour in (
        (150, 620, 190, (120, 150, 104)),
        (1120, 640, 230, (104, 140, 100)),
        (60, 220, 120, (134, 164, 116)),
        (1230, 200, 140, (126, 158, 112)),
    ):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    image = image.filter(ImageFilter.GaussianBlur(28))
    draw = ImageDraw.Draw(image)
    draw.ellipse((470, 110, 810, 520), fill=(74, 48, 34))  # hair
    draw.rounded_rectangle((500, 300, 780, 600), 90, fill=(74, 48, 34))
    draw.polygon(
        ((330, 800), (400, 610), (560, 545), (720, 545), (880, 610), (950, 800)), fill=(152, 58, 62)
    )
    draw.polygon(((575, 540), (640, 660), (705, 540)), fill=(226, 182, 154))
    draw.rounded_rectangle((590, 440, 690, 570), 40, fill=(214, 166, 138))  # neck
    draw.polygon(((560, 545), (640, 690), (600, 720), (520, 570)), fill=(240, 232, 214))
    draw.polygon(((720, 545), (640, 690), (680, 720), (760, 570)), fill=(240, 232, 214))
    draw.ellipse((520, 180, 760, 500), fill=(234, 192, 164))  # face
    draw.pieslice((490, 120, 790, 400), 180, 360, fill=(84, 55, 38))
    draw.ellipse((500, 226, 640, 330), fill=(84, 55, 38))
    draw.ellipse((530, 262, 750, 440), fill=(234, 192, 164))
    for x in (586, 694):
        draw.arc((x - 34, 286, x + 34, 330), 200, 340, fill=(84, 55, 38), width=7)
        draw.ellipse((x - 15, 322, x + 15, 350), fill=(62, 44, 36))
        draw.ellipse((x - 58, 380, x - 4 + 8, 424), fill=(232, 170, 150))
    draw.arc((622, 350, 664, 396), 30, 150, fill=(190, 136, 112), width=6)
    draw.chord((598, 408, 682, 456), 10, 170, fill=(186, 78, 78))
    return image


def building() -> Image.Image:
    image = sky((104, 158, 206), (220, 226, 214))
    draw = ImageDraw.Draw(image)
    for x, y, wide in ((200, 130, 200), (330, 160, 150), (1000, 100, 230), (1120, 140, 150)):
        draw.ellipse((x, y, x + wide, y + wide // 4), fill=(244, 246, 244))
    image = image.filter(ImageFilter.GaussianBlur(6))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 700, 1280, 800), fill=(148, 138, 124))  # street
    draw.rectangle((0, 690, 1280, 712), fill=(186, 178, 162))
    for x, wide, high, wall, roof in (
        (60, 300, 380, (196, 110, 84), (112, 56, 48)),
        (400, 440, 500, (222, 190, 132), (92, 104, 112)),
        (880, 330, 340, (160, 176, 168), (134, 70, 54)),
    ):
        top = 690 - high
        draw.rectangle((x, top, x + wide, 690), fill=wall)
        draw.polygon(((x - 24, top), (x + wide // 2, top - 110), (x + wide + 24, top)), fill=roof)
        columns = wide // 110
        gap = wide / columns
        for row in range(int((high - 130) // 110)):
            for column in range(columns):
                left, up = x + gap * column + gap / 2 - 28, top + 36 + 110 * row
                draw.rectangle((left - 6, up - 6, left + 62, up + 80), fill=(240, 234, 220))
                draw.rectangle((left, up, left + 56, up + 74), fill=(70, 98, 118))
                draw.line((left + 28, up, left + 28, up + 74), fill=(240, 234, 220), width=5)
        door = x + wide / 2
        draw.rounded_rectangle((door - 40, 578, door + 40, 690), 34, fill=(78, 94, 66))
        draw.rectangle((door - 40, 640, door + 40, 690), fill=(78, 94, 66))
    for x in (30, 850, 1240):
        draw.rectangle((x - 9, 560, x + 9, 700), fill=(96, 70, 50))
        draw.ellipse((x - 70, 430, x + 70, 610), fill=(86, 128, 74))
    return image


def seaside() -> Image.Image:
    image = sky((70, 92, 148), (246, 176, 122))
    draw = ImageDraw.Draw(image)
    draw.ellipse((300, 430, 420, 550), fill=(255, 226, 160))  # sun
    draw.rectangle((0, 520, 1280, 800), fill=(64, 104, 136))  # sea
    for y, wide in ((540, 150), (570, 110), (604, 170), (650, 90)):
        draw.rectangle((360 - wide, y, 360 + wide, y + 8), fill=(238, 184, 138))
    draw.polygon(((700, 800), (760, 590), (900, 540), (1280, 560), (1280, 800)), fill=(74, 66, 62))
    draw.polygon(((830, 560), (850, 230), (930, 230), (950, 560)), fill=(238, 232, 222))
    for y in (280, 390, 500):
        left, right = 849 - (y - 230) // 18, 932 + (y - 230) // 18
        stripe = ((left, y), (right, y), (right + 6, y + 50), (left - 6, y + 50))
        draw.polygon(stripe, fill=(186, 62, 54))
    draw.rectangle((842, 212, 938, 232), fill=(62, 58, 60))
    draw.rectangle((862, 160, 918, 212), fill=(255, 232, 150))  # lamp
    draw.polygon(((852, 160), (890, 120), (928, 160)), fill=(62, 58, 60))
    return image


def words() -> Image.Image:
    """A sheet with lines of writing."""
    image = Image.new("RGB", DRAWN, (244, 238, 226))
    draw = ImageDraw.Draw(image)
    for row, ends in enumerate((600, 560, 620, 500, 590, 540, 430)):
        top = 150 + 76 * row
        for left in range(290, ends, 62):
            draw.rounded_rectangle((left, top, min(left + 48, ends), top + 26), 10, (96, 92, 88))
    return image


def painted(scene: Image.Image) -> Image.Image:
    """As if with a broad brush."""
    return ImageOps.posterize(scene.filter(ImageFilter.MedianFilter(31)), 4)


def grey(scene: Image.Image) -> Image.Image:
    return scene.convert("L").convert("RGB")


def torn(scene: Image.Image) -> Image.Image:
    """With a tear from the left edge to the middle, and a corner missing."""
    draw = ImageDraw.Draw(scene)
    paper = (250, 248, 244)
    upper = (240, 330), (330, 350), (410, 318), (520, 372), (600, 352), (650, 380)
    lower = (590, 392), (510, 414), (400, 356), (320, 396), (240, 372)
    corner = (240, 800), (240, 640), (300, 668), (344, 724), (420, 752), (440, 800)
    draw.polygon((*upper, *lower), fill=paper)
    draw.polygon(corner, fill=paper)
    return scene


# Before and after, as drawn.
SCENES: Final[dict[str, Callable[[], tuple[Image.Image, Image.Image]]]] = {
    "DDColor人物黑白修复": lambda: (grey(portrait()), portrait()),
    "DDColor建筑黑白修复": lambda: (grey(building()), building()),
    "文生图": lambda: (words(), seaside()),
    "图生图": lambda: (building(), painted(building())),
    "局部重绘": lambda: (torn(grey(portrait())), grey(portrait())),
    "撕裂修复并上色": lambda: (torn(grey(portrait())), portrait()),
}


def draw(scene: Callable[[], tuple[Image.Image, Image.Image]]) -> Image.Image:
    """The scene in SIZE: its left half before, its right half after."""
    before, after = (image.crop(SHOWN).resize(SIZE, Image.Resampling.LANCZOS) for image in scene())
    half = SIZE[0] // 2
    picture = after.copy()
    picture.paste(before.crop((0, 0, half, SIZE[1])), (0, 0))
    ImageDraw.Draw(picture).line((half, 0, half, SIZE[1]), fill=(255, 255, 255), width=3)
    return picture


if __name__ == "__main__":
    for name, scene in SCENES.items():
        draw(scene).save(FOLDER / f"{name}.jpg", quality=QUALITY, optimize=True)
