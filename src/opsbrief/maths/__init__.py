"""Pure arithmetic below the analysis: arrays and strings in, numbers and patterns out; imports nothing of ours."""
