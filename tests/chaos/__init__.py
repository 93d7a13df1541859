"""What holds when processes are killed, hosts fail and answers lie."""
