"""Lints and renders a chart by Helm's library: `python helm_library.py CHART` with values as JSON.

A program of its own, as the library brings a runtime with threads and signals into its process.
"""

from __future__ import annotations

import json
import sys

import helm_python as helm

if __name__ == "__main__":
    path, values = sys.argv[1], json.load(sys.stdin)
    found = helm.lint(path, values, strict=True)
    if found["errors"] or any(one["severity"] > 1 for one in found["messages"]):
        sys.exit(json.dumps(found))
    with helm.Chart.load(path) as chart:
        made = chart.render(values, name="hub", namespace="ours")
    print("\n---\n".join(text for name, text in made.items() if name.endswith(".yaml")))
