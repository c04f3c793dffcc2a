"""Draw results/network.json: the table results/network.md and the picture results/network.svg."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import machine

RESULTS = Path(__file__).parent / "results"


def as_table(report: dict[str, Any]) -> str:
    lines = [
        f"{machine.named(report['machine'])}. Made by `make bench`. *Share of peak*: of the best "
        "2048 x 2048 float32 matrix product in the same run, counting the products and "
        "convolutions that the runner really does.",
        "",
        "| network | size | runner | seconds | times faster | share of peak | peak memory (MB) "
        "| load (s) | largest ab difference | rounds |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row['network']} | {row['size']} | {row['runner']} | {row['seconds']:.2f} "
        f"| {row['times_faster']:.2f} | {row['share_of_peak']:.0%} | {row['peak_mb']} "
        f"| {row['load_seconds']:.1f} | {_difference(row)} | {row['rounds']} |"
        for row in report["rows"]
    ]
    return "\n".join(lines) + "\n"


def _difference(row: dict[str, Any]) -> str:
    return f"{row['max_ab_difference']:.1e}" if "max_ab_difference" in row else "-"


def draw(report: dict[str, Any], target: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "heliochrome"  # the same picture from the same figures
    from matplotlib import pyplot

    rows = report["rows"]
    networks = sorted({row["network"] for row in rows}, reverse=True)
    figure, axes = pyplot.subplots(
        2, len(networks), figsize=(6 * len(networks), 8), squeeze=False, layout="constrained"
    )
    for column, network in enumerate(networks):
        for line, (key, title) in enumerate(
            (("times_faster", "times faster than eager"), ("peak_mb", "peak memory (MB)"))
        ):
            axis = axes[line][column]
            of_network = [row for row in rows if row["network"] == network]
            for runner in dict.fromkeys(row["runner"] for row in of_network):
                points = [(row["size"], row[key]) for row in of_network if row["runner"] == runner]
                ours = runner.startswith("Heliochrome")
                axis.plot(*zip(*points, strict=True), "o-" if ours else "x--", label=runner)
            axis.set(title=f"{network}: {title}", xlabel="size", ylim=(0, None))
            axis.set_xticks(sorted({row["size"] for row in of_network}))
            axis.grid(alpha=0.3)
    axes[0][0].legend(fontsize="small")
    figure.suptitle(f"{report['machine']['processor']}, {report['machine']['cores']} cores")
    figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    found = json.loads((RESULTS / "network.json").read_text())
    (RESULTS / "network.md").write_text(as_table(found))
    draw(found, RESULTS / "network.svg")
