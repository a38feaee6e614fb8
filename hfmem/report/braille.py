"""A plane of dots, eight to a character, with characters laid over it."""

from __future__ import annotations

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # bits of a character: rows from above, columns
EMPTY = 0x2800


class Plane:
    """Rows of characters; a dot is counted from the left and from above, four to a row and two to a column."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.dots = [[0] * width for _ in range(height)]
        self.over = [[""] * width for _ in range(height)]

    def dot(self, across: int, down: int) -> None:
        """One dot; outside the plane there is none."""
        if 0 <= across < 2 * self.width and 0 <= down < 4 * self.height:
            self.dots[down // 4][across // 2] |= DOTS[down % 4][across % 2]

    def stroke(self, across: int, start: int, end: int) -> None:
        """The dots of a column from one height to another."""
        for down in range(max(0, min(start, end)), min(4 * self.height - 1, max(start, end)) + 1):
            self.dot(across, down)

    def write(self, column: int, row: int, text: str) -> None:
        """Text over whatever is there."""
        for place, letter in enumerate(text, start=column):
            if 0 <= row < self.height and 0 <= place < self.width:
                self.over[row][place] = letter

    def under(self, row: int, letter: str) -> None:
        """A row of a letter where nothing else is."""
        for column in range(self.width):
            if not self.dots[row][column] and not self.over[row][column]:
                self.over[row][column] = letter

    def is_free(self, column: int, row: int, length: int) -> bool:
        """Whether text of that length lies on nothing there."""
        inside = column >= 0 and column + length <= self.width
        return inside and not any(self.dots[row][place] or self.over[row][place] for place in range(column, column + length))

    def rows(self) -> list[str]:
        return [
            "".join(letter or (chr(EMPTY + bits) if bits else " ") for letter, bits in zip(over, dots, strict=True))
            for over, dots in zip(self.over, self.dots, strict=True)
        ]
