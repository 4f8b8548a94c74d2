"""What is laid over the demo's pictures: title card, clock, rendition badge. And posters.

This ffmpeg draws no text and reads no PNG, so Pillow draws, as lossless WebP.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter, ImageFont

from infra.content.ladder import FittedRung

FRAME_HEIGHT = 720
CARD = (920, 290)
POSTER = (960, 540)
CLOCK = (196, 60)
CLOCK_FPS = 4
WHITE = (255, 255, 255, 255)
SHADE = (6, 8, 18, 150)
BADGE_COLORS = {240: "#94a3b8", 360: "#60a5fa", 480: "#2dd4bf", 720: "#fbbf24"}

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def draw_card(path: Path, *, title: str, tagline: str, accent: str) -> None:
    """The opening title, for the middle of the frame."""
    image = Image.new("RGBA", CARD)
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((0, 0, CARD[0] - 1, CARD[1] - 1), 28, fill=SHADE)
    middle = CARD[0] // 2
    draw.text((middle, 104), title, font=_font(100), fill=WHITE, anchor="mm")
    draw.rounded_rectangle((middle - 60, 180, middle + 60, 186), 3, fill=accent)
    draw.text((middle, 228), tagline, font=_font(34), fill=(226, 232, 240, 255), anchor="mm")
    _save(image, path)


def draw_badge(path: Path, rung: FittedRung) -> None:
    """The rendition's name, the same share of every rendition's picture."""
    scale = rung.height / FRAME_HEIGHT * 2  # Drawn at twice the size and shrunk: smooth edges.
    size = (round(190 * scale), round(64 * scale))
    image = Image.new("RGBA", size)
    draw = ImageDraw.Draw(image)
    color = BADGE_COLORS.get(rung.height, "#c084fc")
    draw.rounded_rectangle((0, 0, size[0] - 1, size[1] - 1), size[1] // 2, fill=color)
    middle = (size[0] // 2, size[1] // 2)
    draw.text(middle, f"{rung.height}p", font=_font(42 * scale), fill=(6, 8, 18, 255), anchor="mm")
    _save(image.resize((size[0] // 2, size[1] // 2), Image.Resampling.LANCZOS), path)


def draw_clocks(folder: Path, duration_s: int) -> None:
    """0000.webp, 0001.webp, …: a dial and the time, CLOCK_FPS a second."""
    folder.mkdir()
    for number in range(duration_s * CLOCK_FPS):
        _save(_clock(number), folder / f"{number:04}.webp")


def _clock(number: int) -> Image.Image:
    width, height = CLOCK[0] * 2, CLOCK[1] * 2
    image = Image.new("RGBA", (width, height))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((0, 0, width - 1, height - 1), height // 2, fill=SHADE)
    seconds = number / CLOCK_FPS
    dial = (18, 18, height - 18, height - 18)
    draw.ellipse(dial, outline=(255, 255, 255, 90), width=8)
    draw.arc(dial, -90, -90 + 360 * (seconds % 4) / 4, fill=WHITE, width=8)
    text = f"{int(seconds) // 60:02}:{int(seconds) % 60:02}"
    draw.text((height + 10, height // 2), text, font=_font(66), fill=WHITE, anchor="lm")
    return image.resize(CLOCK, Image.Resampling.BILINEAR)


def draw_poster(path: Path, *, frame: Path, title: str, tagline: str, accent: str) -> None:
    """The picture for lists: a frame of the title, darker below, with its name."""
    with Image.open(frame) as opened:
        image = opened.convert("RGB").resize(POSTER, Image.Resampling.BICUBIC)
    image = image.filter(ImageFilter.GaussianBlur(0.6))
    shade = Image.linear_gradient("L").resize(POSTER).point(_shade_of)
    image.paste((6, 8, 18), (0, 0), shade)
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((48, 352, 132, 358), 3, fill=accent)
    draw.text((44, 410), title, font=_font(76), fill=WHITE, anchor="lm")
    draw.text((48, 476), tagline, font=_font(28), fill=(226, 232, 240), anchor="lm")
    image.save(path, quality=86)


def _shade_of(value: int) -> int:
    return max(0, value - 70)


def _font(size: float) -> Font:
    return ImageFont.load_default(size)


def _save(image: Image.Image, path: Path) -> None:
    image.save(path, lossless=True, method=0)
