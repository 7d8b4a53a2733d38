"""What became of an import, to be read by people and by programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape


@dataclass(frozen=True, slots=True)
class Searches:
    """Questions whose exact answers were worked out from what the source gave."""

    #: The space that was asked, "" for the unnamed one.
    space: str
    #: How many questions, and how many hits of each.
    count: int
    limit: int
    #: The share of the true hits that an exact search found; less than 1 means that vectors differ.
    exact: float
    #: The share that a search finds which asks for nothing special.
    usual: float


@dataclass
class Moved:
    """One collection of the source, and what it became."""

    #: Its name in the source, and here.
    source: str
    collection: str
    #: Its points, as the source counts them; `None` where it cannot.
    source_count: int | None = None
    #: Points that were read and written, those included that took the place of one with the same id.
    written: int = 0
    #: Points that the collection has now.
    count: int = 0
    #: Its vectors: dimension and metric of each by name, `sparse` where there is no dimension.
    spaces: dict[str, str] = field(default_factory=dict)
    #: What of the payload is sought by words.
    text: list[str] = field(default_factory=list)
    #: Points that were read back and compared with the source.
    compared: int = 0
    searches: list[Searches] = field(default_factory=list)
    #: What is not as it was in the source. Empty when everything was carried over.
    differences: list[str] = field(default_factory=list)
    #: What is good to know.
    notes: list[str] = field(default_factory=list)
    elapsed_s: float = 0.0

    @property
    def is_whole(self) -> bool:
        """Whether everything was carried over, as far as it was looked at."""
        return not self.differences

    def __str__(self) -> str:
        of = "" if self.source_count is None else f" of {self.source_count:,}"
        rate = self.written / self.elapsed_s if self.elapsed_s else 0.0
        lines = [
            f"{self.source} -> {self.collection}: {self.written:,}{of} points, {self.elapsed_s:.1f} s, {rate:,.0f}/s",
            *(f"  vectors   {name or '(unnamed)'}: {told}" for name, told in self.spaces.items()),
        ]
        if self.text:
            lines.append(f"  words     {', '.join(self.text)}")
        lines.append(f"  compared  {self.compared} points, read back")
        for one in self.searches:
            space = f" in {one.space}" if one.space else ""
            lines.append(
                f"  searched  {one.count} questions{space}: {one.exact:.1%} of the true {one.limit} exactly,"
                f" {one.usual:.1%} as usual"
            )
        lines += [f"  note      {note}" for note in self.notes]
        lines += [f"  DIFFERS   {difference}" for difference in self.differences]
        return "\n".join(lines)


@dataclass
class Report:
    """What an import did: `print(report)`, and `report.is_whole` for programs."""

    #: Where the points came from.
    place: str
    moved: list[Moved] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether everything was carried over, as far as it was looked at."""
        return all(one.is_whole for one in self.moved)

    @property
    def count(self) -> int:
        """Points that were written, over all collections."""
        return sum(one.written for one in self.moved)

    def __getitem__(self, collection: str) -> Moved:
        """What became of the collection of a name, by the name that it has here."""
        return next(one for one in self.moved if one.collection == collection)

    def __str__(self) -> str:
        verdict = "everything is there" if self.is_whole else "not everything is as it was"
        head = f"{self.place}: {len(self.moved)} collections, {self.count:,} points; {verdict}"
        return "\n".join([head, *map(str, self.moved)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"
