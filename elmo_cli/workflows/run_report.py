"""The pictures and the page that show a trained run to people."""

from collections.abc import Mapping
from typing import Any

from elmo_cli.evaluation.html_report import write_html_report
from elmo_cli.evaluation.plots import plot_history
from elmo_cli.evaluation.report import Report
from elmo_cli.training.history import History
from elmo_cli.workflows.run_directory import RunDirectory
from elmo_cli.workflows.tfidf import describe_tfidf


def write_run_report(
    run: RunDirectory, record: Mapping[str, Any], history: History, reports: Mapping[str, Report]
) -> None:
    """Writes plots/history.png and report.html of a run; the confusion matrices must be in plots/ already.

    Args:
        run: The run directory.
        record: What stands in run.json: ``data``, ``elmo``, ``parameters``, ``layer_mix`` ...
        history: Loss and accuracy per epoch.
        reports: Report per evaluated table.

    Raises:
        RunError: When the run directory cannot be written.
    """
    curve = run.plots / "history.png"
    measures = ("loss", "val_loss", "accuracy", "val_accuracy")
    plot_history(
        [one.epoch for one in history.epochs],
        {measure: [getattr(one, measure) for one in history.epochs] for measure in measures},
        curve,
        best_epoch=history.best_epoch,
    )
    write_html_report(
        run.path / "report.html",
        title=f"Text classifier {run.path.name}",
        facts=_facts(record, history, reports),
        reports=reports,
        images={"Learning curve": curve} | {name: run.plots / f"confusion_{name}.png" for name in reports},
    )


def _facts(record: Mapping[str, Any], history: History, reports: Mapping[str, Report]) -> dict[str, str]:
    """What a reader wants to know before the numbers, name to value."""
    elmo, data, parameters = record["elmo"], record["data"], record["parameters"]
    first = next(iter(reports.values()))
    weights = ", ".join(f"{weight:.3f}" for weight in record["layer_mix"]["weights"])
    parts = {"parts": describe_tfidf(record["tfidf"])} if "tfidf" in record else {}
    return {
        "ELMo": f"{elmo['handle']} (fingerprint {elmo['fingerprint'][:12]})",
        "rows": ", ".join(f"{rows:,} {name}" for name, rows in data["rows"].items())
        + (" (valid was split off train)" if data["valid_is_split"] else ""),
        "classes": str(len(first.labels) - len(first.unseen_labels)),
        "parameters": f"{parameters['trained']:,} trained, {parameters['frozen']:,} frozen",
        "epochs": f"{len(history.epochs)}; epoch {history.best_epoch} was kept"
        + (" (stopped by the user)" if history.interrupted else ""),
        "mix of the layers": f"{weights}; gamma {record['layer_mix']['gamma']:.3f}",
        **parts,
        "training": f"{sum(one.seconds for one in history.epochs):.1f} s",
        "seed": str(record["seed"]),
        "made": f"{record['started']} with elmo-cli {record['versions']['elmo-cli']}",
    }
