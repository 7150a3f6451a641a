"""Whether captions and pictures differ: the contrastive objective learns only from what does."""

from dataclasses import dataclass, field


@dataclass
class Variety:
    """The first caption and picture seen, and whether any other was."""

    count: int = 0
    """Samples seen."""
    caption: str = ""
    """The first caption."""
    captions_differ: bool = False
    """Whether there was another caption, ignoring case."""
    pictures_differ: bool = False
    """Whether there was another picture, or one that is not known."""
    _picture: int | None = field(default=None, repr=False)

    def add(self, caption: str, picture: int | None) -> None:
        """Adds a sample by its caption and a hash of its picture; `None` for a picture that is not known."""
        if self.count == 0:
            self.caption, self._picture = caption, picture
        self.count += 1
        self.captions_differ = self.captions_differ or caption.casefold() != self.caption.casefold()
        self.pictures_differ = self.pictures_differ or picture is None or picture != self._picture

    @property
    def enough(self) -> bool:
        """Whether the contrastive objective has something to learn from."""
        return self.captions_differ and self.pictures_differ

    def fault(self, complete: bool) -> str:
        """Sentence on what the contrastive objective lacks, if `complete` of all samples; empty if it lacks nothing."""
        if not self.count or self.enough:
            return ""
        if self.count == 1:
            what = "there is a single sample" if complete else "the only sample read is a single one"
        else:
            caption = self.caption if len(self.caption) <= 60 else self.caption[:57] + "..."
            equal = "pictures are the same" if self.captions_differ else f"captions are the same ('{caption}')"
            what = f"all {equal}" if complete else f"the first {self.count:,} {equal}"
        return f"{what}: the contrastive objective learns nothing from such data"
