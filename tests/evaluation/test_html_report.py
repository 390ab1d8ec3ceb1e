"""Reports as one HTML file."""

import base64
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from elmo_cli.errors import RunError
from elmo_cli.evaluation.html_report import write_html_report
from elmo_cli.evaluation.metrics import evaluate
from elmo_cli.evaluation.plots import plot_confusion
from elmo_cli.evaluation.report import Report

VOID = {"meta", "img", "input"}
SCRIPT = "<script>alert('1')</script>"


class Page(HTMLParser):
    """Reads a page strictly: elements with their attributes, and the text of each table cell and heading."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in self.open:
            self.texts[tag][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def report_of(
    truth: list[int], predicted: list[int], names: list[str], true_labels: list[str] | None = None
) -> Report:
    probabilities = np.full((len(predicted), len(names)), 0.1 / max(1, len(names) - 1), np.float32)
    probabilities[np.arange(len(predicted)), predicted] = 0.9
    return evaluate(probabilities, np.array(truth, np.int32), label_names=names, true_labels=true_labels)


def page_of(tmp_path: Path, reports: dict[str, Report], **changes: object) -> tuple[Page, str]:
    path = tmp_path / "report.html"
    arguments: dict[str, object] = {"title": "A run", "facts": {"seed": "1"}, "images": {}, **changes}
    write_html_report(path, reports=reports, **arguments)  # type: ignore[arg-type]
    content = path.read_text(encoding="utf-8")
    return Page(content), content


def test_facts_and_headline_metrics_of_every_table(tmp_path: Path) -> None:
    reports = {
        "valid": report_of([0, 0, 1, 1], [0, 1, 1, 1], ["no", "yes"]),
        "test": report_of([0, 0, 0, 1], [0, 0, 0, 1], ["no", "yes"]),
    }
    page, content = page_of(tmp_path, reports, facts={"ELMo": "bundled", "seed": "7"})
    assert page.texts["title"] == page.texts["h1"] == ["A run"]
    assert page.texts["tr"][:2] == ["ELMobundled", "seed7"]
    assert page.texts["tr"][2] == "tablerowsaccuracymacro F1weighted F1log loss"
    assert page.texts["tr"][3] == "valid40.75000.73330.73330.6547"
    assert page.texts["tr"][4].startswith("test41.00001.00001.0000")
    assert page.texts["h2"] == ["Table: valid", "Table: test"]
    assert "3 of 4 rows; always answering the most frequent class would give 0.5000" in page.texts["dd"]
    assert "3 of 4 rows" in content
    assert {link["href"] for link in page.all("a")} == {f"#{one['id']}" for one in page.all("section")}


def test_classes_stand_with_the_weakest_first_and_those_without_rows_last(tmp_path: Path) -> None:
    report = report_of([0, 0, 1, 1, 2], [0, 0, 1, 0, 2], ["zero", "one", "two", "never"])
    page, _ = page_of(tmp_path, {"test": report})
    rows = page.texts["tr"]
    start = rows.index("classprecisionrecallF1rows")
    assert rows[start + 1 : start + 5] == [
        "one1.0000.5000.6672",
        "zero0.6671.0000.8002",
        "two1.0001.0001.0001",
        "never0.0000.0000.0000",
    ]
    assert "Most confused pairs (1 of 1)" in page.texts["caption"]
    assert "onezero150.0%" in rows


def test_tables_are_named_and_their_heads_say_what_they_head(tmp_path: Path) -> None:
    page, _ = page_of(tmp_path, {"test": report_of([0, 0, 1], [0, 1, 1], ["no", "yes"])})
    assert len(page.all("caption")) == len(page.all("table")) == 4
    assert {head.get("scope") for head in page.all("th")} == {"row", "col"}
    assert page.all("html") == [{"lang": "en"}]


def test_unseen_labels_have_a_table_of_their_own(tmp_path: Path) -> None:
    labels = [
        "no",
        *(f"free text {number:03d}" for number in range(70)),
        "free text 069",
    ]  # one of them twice
    report = report_of([0, *[-1] * 71], [0] * 72, ["no", "yes"], labels)
    page, content = page_of(tmp_path, {"test": report})
    caption = "71 rows have labels that training never saw; they count as errors. The 50 most frequent of 70:"
    assert caption in page.texts["caption"]
    start = page.texts["tr"].index("unseen labelrows")
    assert page.texts["tr"][start + 1] == "free text 0692"
    assert "1 of 72 rows; always answering the most frequent class would give 0.0139" in page.texts["dd"]
    assert "free text 048" in content
    assert "free text 060" not in content
    assert "Scores of the 2 classes, the lowest F1 first" in page.texts["caption"]
    one, _ = page_of(tmp_path, {"test": report_of([0, -1], [0, 1], ["no", "yes"], ["", "x"])})
    assert "1 row has a label that training never saw; it counts as an error." in one.texts["caption"]


def test_a_table_without_log_loss_has_a_dash_in_its_place(tmp_path: Path) -> None:
    page, _ = page_of(tmp_path, {"test": report_of([-1], [0], ["no", "yes"], ["x"])})
    assert "test10.00000.00000.0000-" in page.texts["tr"]
    assert "-" in page.texts["dd"]


def test_without_mistakes_the_page_says_so(tmp_path: Path) -> None:
    page, _ = page_of(tmp_path, {"test": report_of([0, 1], [0, 1], ["no", "yes"])})
    assert "No two classes were confused: every row is right." in page.texts["p"]


def test_whatever_comes_from_outside_is_shown_as_text(tmp_path: Path) -> None:
    names = [SCRIPT, '" onload="x', "a\nb\x00", " ", "&amp;", "שלום"]
    report = report_of([0, 1, 2, 3, 4, 5, -1], [1, 0, 3, 2, 5, 4, 0], names, [*names, f"{SCRIPT} unseen"])
    plot_confusion(report, tmp_path / "a.png")
    page, content = page_of(
        tmp_path,
        {SCRIPT: report},
        title=SCRIPT,
        facts={SCRIPT: SCRIPT, "empty": ""},
        images={SCRIPT: tmp_path / "a.png", f"{SCRIPT} curve": tmp_path / "a.png"},
    )
    assert "<script" not in content
    assert page.texts["h1"] == [SCRIPT]
    assert page.texts["h2"] == [f"{SCRIPT} curve", f"Table: {SCRIPT}"]
    shown = page.texts["th"]
    for name in (SCRIPT, '" onload="x', "a\\nb\\x00", "(empty)", "&amp;", "שלום", f"{SCRIPT} unseen"):
        assert name in shown
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


def test_the_page_needs_no_other_file_no_script_and_no_network(tmp_path: Path) -> None:
    report = report_of([0, 1], [1, 0], ["no", "yes"])
    plot_confusion(report, tmp_path / "a.png")
    images = {"Learning curve": tmp_path / "a.png", "test": tmp_path / "a.png"}
    page, content = page_of(tmp_path, {"test": report}, images=images)
    assert not {"script", "link", "iframe", "base", "object"} & {tag for tag, _ in page.elements}
    for _, attributes in page.elements:
        assert (attributes.get("src") or "data:").startswith("data:")
        assert (attributes.get("href") or "#").startswith("#")
    for part in ("http:", "https:", "//cdn", "@import", "url("):
        assert part not in content.replace(base64.b64encode((tmp_path / "a.png").read_bytes()).decode(), "")
    assert "prefers-color-scheme: dark" in content


def test_pictures_are_inside_and_described(tmp_path: Path) -> None:
    report = report_of([0, 1], [1, 0], ["no", "yes"])
    plot_confusion(report, tmp_path / "a.png")
    images = {"Learning curve": tmp_path / "a.png", "test": tmp_path / "a.png"}
    page, _ = page_of(tmp_path, {"test": report}, images=images)
    curve, confusion = page.all("img")
    assert curve["alt"] == "Learning curve of A run"
    assert (confusion["alt"] or "").startswith("Confusion matrix of test: 2 true classes by 2 predicted")
    kind, _, content = (curve["src"] or "").partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(content) == (tmp_path / "a.png").read_bytes()
    assert page.texts["h2"] == ["Learning curve", "Table: test"]
    assert not page.all("input")


def test_many_classes_scroll_and_a_wide_picture_can_be_enlarged(tmp_path: Path) -> None:
    report = report_of(list(range(151)), [*range(1, 151), 0], [f"class {number}" for number in range(151)])
    wide = bytearray(b"\x89PNG\r\n\x1a\n" + bytes(16))
    wide[16:24] = (3000).to_bytes(4, "big") + (2900).to_bytes(4, "big")
    (tmp_path / "wide.png").write_bytes(wide)
    page, _ = page_of(tmp_path, {"test": report}, images={"test": tmp_path / "wide.png"})
    assert [one.get("width") for one in page.all("img")] == ["3000"]
    assert [one["type"] for one in page.all("input")] == ["checkbox"]
    regions = [one for one in page.all("div") if one.get("role") == "region"]
    assert [one["aria-label"] for one in regions if "scroll" in (one["class"] or "")] == [
        "Scores of the 151 classes, the lowest F1 first"
    ]
    assert all(one["tabindex"] == "0" for one in regions)
    assert "Most confused pairs (20 of 151)" in page.texts["caption"]


def test_a_page_without_facts_reports_and_pictures_is_still_one(tmp_path: Path) -> None:
    page, _ = page_of(tmp_path, {}, facts={})
    assert page.all("table") == []


def test_a_page_that_fails_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    report = report_of([0, 1], [1, 0], ["no", "yes"])
    page_of(tmp_path, {"test": report})
    before = (tmp_path / "report.html").read_bytes()
    with pytest.raises(RunError, match=r"missing\.png cannot be read: No such file"):
        page_of(tmp_path, {"test": report}, images={"test": tmp_path / "missing.png"})
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(ValueError, match="must be a PNG file"):
        page_of(tmp_path, {"test": report}, images={"test": tmp_path / "a.jpg"})
    assert (tmp_path / "report.html").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jpg", "report.html"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"report\.html cannot be written"):
        page_of(tmp_path / "file", {})
