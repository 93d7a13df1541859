"""Drawing a graph as text: pure functions from nodes and edges to dot, Mermaid, JSON, SVG and HTML."""
