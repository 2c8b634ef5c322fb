"""Reports: pure functions of the record of a run, and one function that writes them into its directory."""
