collect_ignore = ["malformed"]  # a package that child processes run
