"""The Evaluate page: form, jobs, results and figures."""
