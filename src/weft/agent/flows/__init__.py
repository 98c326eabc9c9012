"""The pipeline: fields, flows, and the builders of each stretch of the way."""
