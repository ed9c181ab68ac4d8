"""Networks as pictures: strips for terminals, drawings as SVG and HTML."""
