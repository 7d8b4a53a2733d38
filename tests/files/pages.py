"""Makes pages.pdf and locked.pdf, as programs make them that people write with: fonts embedded in part, their glyphs
named by ToUnicode alone, ligatures, several pages.

    python3 tests/files/pages.py FONT.ttf        (with fpdf2 2.8.9, uharfbuzz 0.57.0 and cryptography 50.0.2)

FONT was DejaVu Sans Condensed, whose licence lets it be embedded.
"""

import datetime
import sys
from pathlib import Path

from fpdf import FPDF
from fpdf.enums import AccessPermission, EncryptionMethod

PAGES = [
    ["The office of the keepers", "", "An efficient officer files the first affidavit in the infor-", "mation desk of the harbour."],
    ["Öffnungszeiten: täglich außer dienstags von 9 bis 17 Uhr.", "", "The fluffy waffle costs 4.50 € – or 5 $ at the pier."],
    ["Boats leave every day at noon, the last one in Sep-", "tember. The Anglo-", "Saxon museum stays open."],
]


def made(password=None):
    pdf = FPDF()
    pdf.set_creation_date(datetime.datetime(2024, 1, 31, 11, tzinfo=datetime.timezone.utc))
    pdf.set_title("A harbour guide")
    pdf.set_author("B. Keeper")
    pdf.add_font("Body", fname=sys.argv[1])
    pdf.set_text_shaping(True)
    if password:
        pdf.set_encryption(
            owner_password=f"{password}s", user_password=password, encryption_method=EncryptionMethod.AES_256,
            permissions=AccessPermission.all(),
        )
    for lines in PAGES:
        pdf.add_page()
        pdf.set_font("Body", size=11)
        for line in lines:
            pdf.cell(text=line or " ", h=6, new_x="LMARGIN", new_y="NEXT")
    return bytes(pdf.output())


here = Path(__file__).parent
(here / "pages.pdf").write_bytes(made())
(here / "locked.pdf").write_bytes(made("a secret"))
