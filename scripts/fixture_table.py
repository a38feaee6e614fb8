"""Every row of the fixture table, by the name of the repository it stands for."""

from __future__ import annotations

from fixture_mixed import EXPERTS, HYBRIDS
from fixture_multimodal import MULTIMODAL
from fixture_older import OLDER
from fixture_quantised import QUANTISED
from fixture_rows import Row
from fixture_text import DENSE

ROWS: dict[str, Row] = {**DENSE, **OLDER, **EXPERTS, **HYBRIDS, **QUANTISED, **MULTIMODAL}
