"""Spreadsheets of which a few bytes say a great deal."""

from __future__ import annotations

import io
import zipfile

from intake.spreadsheets import spreadsheet

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_SHEET = "xl/worksheets/sheet1.xml"
_HEADER = [["timestamp", "asset_id", "value"], ["2025-10-09T14:00:00Z", "a", 1.5]]


def with_parts(**parts: str) -> bytes:
    """An honest file with other parts: `sheet` (behind its rows), `texts`, `whole` (the sheet)."""
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(spreadsheet({"S": _HEADER}))) as honest,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name in honest.namelist():
            text = honest.read(name).decode()
            if name == _SHEET:
                text = text.replace("</sheetData>", parts.get("sheet", "") + "</sheetData>")
                text = parts.get("whole", "") or text
            archive.writestr(name, text)
        if "texts" in parts:
            archive.writestr("xl/sharedStrings.xml", f"<sst>{parts['texts']}</sst>")
    return made.getvalue()


def shared(count: int, length: int) -> bytes:
    """One text, in very many cells."""
    cells = "".join(
        f'<row r="{n}"><c r="A{n}" t="s"><v>0</v></c></row>' for n in range(3, 3 + count)
    )
    return with_parts(texts=f"<si><t>{'x' * length}</t></si>", sheet=cells)


def entities() -> bytes:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    document = f'<!DOCTYPE x [<!ENTITY e0 "aaaaaaaaaa">{levels}]>'
    row = '<row r="1"><c r="A1" t="inlineStr"><is><t>&e9;</t></is></c></row>'
    return with_parts(whole=f"{document}<worksheet><sheetData>{row}</sheetData></worksheet>")


def small_in_its_list() -> bytes:
    """A part that says it is of a few bytes, and unpacks to a great many."""
    body = bytearray(with_parts(sheet="<row/>" * 10_000_000))
    with zipfile.ZipFile(io.BytesIO(bytes(body))) as archive:
        size = archive.getinfo(_SHEET).file_size
    said, small = size.to_bytes(4, "little"), (1_000).to_bytes(4, "little")
    return bytes(body.replace(said, small))


def many_files() -> bytes:
    made = io.BytesIO(spreadsheet({"S": _HEADER}))
    with zipfile.ZipFile(made, "a") as archive:
        for n in range(30_000):
            archive.writestr(f"{n}", "")
    return made.getvalue()


SPREADSHEETS = {
    "xlsx far cell": lambda: with_parts(
        sheet='<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    ),
    "xlsx cells": lambda: with_parts(sheet=f'<row r="3">{"<c/>" * 3_000_000}</row>'),
    "xlsx texts": lambda: with_parts(texts="<si><t>a</t></si>" * 2_000_000),
    "xlsx shared text": lambda: shared(50_000, 30_000),
    "xlsx long text": lambda: with_parts(texts=f"<si><t>{'x' * 200_000_000}</t></si>"),
    "xlsx long tag": lambda: with_parts(sheet=f'<row r="3" x="{"x" * 100_000_000}"/>'),
    "xlsx entities": entities,
    "xlsx small in its list": small_in_its_list,
    "xlsx many files": many_files,
}
